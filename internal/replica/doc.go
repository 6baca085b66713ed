// Package replica is a partition's log on this node: it implements broker.Log over a commitlog, alone or as a replica of a Raft
// group. What is stored, read and trimmed is the same (stored.go, space.go); the two differ in who says what is committed.
//
// A lone node's Log: what the commit round reports done is committed.
//
//	Propose ──► pending ──Collect──► entries with index, offset, time ──► commit round of the Store
//	                                                                            │ written and, as the policy demands, durable
//	Owner.Proposed ◄── Machine.Apply ◄──────────────────Done────────────────────┘
//
// A Group's replica: go.etcd.io/raft says what is committed. The frames of the commitlog are Raft's log; there is no second copy.
//
//	Propose, messages, ticks ──► inbox ──► pass of a worker: RawNode ──► Peers.Send ──► other replicas
//	                               ▲                 │ MsgStorageAppend
//	                               │                 ▼
//	                               └──Done── appends ──Collect──► commit round of the Store
//	Owner.Proposed ◄── Machine.Apply ◄── MsgStorageApply
//
// Term and vote lie in one file for all groups of the node (votes.go); they are durable before the messages that depend on them go
// out. A replica that was away gets the entries it misses, or, when they are trimmed, a checkpoint and what is kept (snapshot.go).
// Leadership that moves by plan takes along what the machine has not recorded yet (move.go).
// A replica whose log or vote is damaged or missing does not start: it neither votes nor leads.
//
// Concurrency: Propose may come from anywhere and only queues, under a short mutex. Of a Log, Collect and Done run in commit rounds,
// one at a time, and own the rest of the state; of a Group, one pass at a time owns the RawNode, and a queue of its own lies between
// passes and rounds.
package replica
