// Package raftspike is an experiment, kept as evidence for docs/decisions/0010-lone-node-and-raft.md: a broker.Log of
// one voter of go.etcd.io/raft over a commitlog, beside package replica, which does without Raft. It answers what one
// voter costs, and whether the frame format and the seams hold what Raft needs. No part of Weir imports it.
//
//	Propose ──► pending ──Collect──► offset, time ──► RawNode.Step(MsgProp)
//	                                                      │ Ready: MsgStorageAppend
//	                                                      ▼
//	                                          entries with term and index ──► commit round of the Store
//	                                                                               │ durable as the policy demands
//	Owner.Proposed ◄── Machine.Apply ◄── MsgStorageApply ◄── RawNode.Step(responses) ◄──Done
//
// # How Raft's state lies on the disk
//
// An entry is a frame of the commitlog: its term, index and kind are the frame's; base offset and time travel inside
// Raft as a header of Entry.Data and go back into the frame. Raft's own entries are of kind KindRaft. There is no second
// copy of any entry.
//
// Term and vote lie in a file of their own for each log, replaced by write, sync, rename and sync of the directory before
// Raft hears that they are stored. One voter changes them once, when it starts. The commit index is not stored: a log
// starts above a checkpoint, which holds only what was committed, and one voter commits the rest by its election.
//
// # What is left out
//
// Ticks, a transport, configuration changes and snapshots: one voter needs none of them.
package raftspike
