// Package hostile is a log for tests that does everything the contract of broker.Log allows and nobody likes: it delays
// commits, refuses proposals, loses leadership with proposals under way, truncates what is not committed or commits it
// after the owner was told "unknown", poisons a reader's buffer once the caller has no right to it any more, and crashes.
// Whatever runs over a Log must pass on this one.
//
// # What is simulated
//
// All state is in memory. A group is the truth about one log: what is committed, the uncommitted tail behind it, the term
// and who leads. Nodes (Logs) share groups: New makes the first node, Logs.Join another whose machines follow the same
// entries. A node's disk keeps segments and checkpoints; it outlives Close and Crash, so that a log can be opened again.
//
//	Logs (a node) ──► disk: segments, checkpoints ──┐
//	      │                                         ├──► group: committed entries │ tail │ term, leader
//	      └── Log (an open log) ──► broker.Machine ─┘
//
// A committed entry is never lost and never changes. The tail may be cut at a change of leaders, from any place on; a
// proposal that was cut is answered ErrNotLeader or ErrUnknown, one that survives ErrUnknown or, once it is committed, nil.
//
// # Driving it
//
// Every choice comes from Options.Seed. With Options.Manual nothing moves but by Log.Step, and a run with one goroutine is
// repeatable. Otherwise each open log has a goroutine that steps as long as there is something to do and rests when there
// is not, so it fits into a testing/synctest bubble (delays are bubble time) as well as into an ordinary test. Depose,
// Elect, SetFull, Fail and Logs.Crash cause the rare events at a chosen moment.
//
// Calls of one Machine and its committed outcomes come from one goroutine at a time, with no lock of a group held. A
// machine or owner may call Propose, Bounds and readers from its callbacks, never Step, Depose, Elect, Fail, Crash or Close.
package hostile
