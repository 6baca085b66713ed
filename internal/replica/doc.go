// Package replica is a partition's log on this node: it implements broker.Log over a commitlog.
//
//	Propose ──► pending ──Collect──► entries with index, offset, time ──► commit round of the Store
//	                                                                            │ written and, as the policy demands, durable
//	Owner.Proposed ◄── Machine.Apply ◄──────────────────Done────────────────────┘
//
// Here a lone node's log: what the commit round reports done is committed. A Raft group takes the same place: its proposals go
// through RawNode before they are collected, and its Done steps Raft's messages. The rest of the node does not know which it is.
//
// Concurrency: Propose may come from anywhere and only queues (under a short mutex); Collect and Done run in commit rounds, one
// at a time for a log, and own the rest of the state.
package replica
