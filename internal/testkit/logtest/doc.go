// Package logtest says what a broker.Log must do, as tests that run over any implementation, and has the machine, owner
// and batches that such tests are written with. For tests only.
package logtest
