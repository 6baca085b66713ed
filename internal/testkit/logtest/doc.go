// Package logtest says what a broker.Log must do, as tests that run over any implementation, and has the machine, owner
// and batches that such tests are written with. For tests only.
//
// Run covers the contract of broker.Logs, Log, Reader and Machine as far as an implementation cannot help but show it: a
// log that leads, takes proposals and is opened again. What only some can do (losing leadership, full disks, damage) is
// tested beside them. Implementations may put entries of kind KindRaft between others, and may merge small batches: then
// what is applied and read is the merged batch, and each proposal's messages lie in it from its Base on.
package logtest
