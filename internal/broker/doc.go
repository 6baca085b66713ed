// Package broker joins logs, channels and catalog, and is the one API that all doors use.
//
//	doors (nsqtcp, nsqhttp)
//	   │ Publish               │ Subscribe, Pull, Finish, Requeue, Touch
//	   ▼                       ▼
//	 Topic ──► partition ──► Channel ──► queue.Channel (the rules, pure)
//	              │  ▲ Apply: committed entries, in order
//	      Propose ▼  │
//	             Log (interface; package replica, a Raft group, or memory)
//
// Everything durable about a channel changes only when a committed entry is applied, in index order, on every replica alike.
// A batch moves the high watermark and makes its deferred messages known; a control entry (control.go) creates, deletes,
// pauses or empties a channel, or records what was finished and requeued since the last one. What is in flight lives in
// memory on the leader.
//
// A lone node has one partition for each topic and leads it. In a cluster (Options.Cluster) a Topic holds the replicas that the
// catalog places on this node: a batch goes Topic.Publish ─► partition led here, or router ─► Cluster.Publish ─► another
// node's Broker.Relayed; changes go by Cluster.Change to the leader's Broker.Change; a Subscription has a seat in the channel of
// each local replica. ARCHITECTURE.md tells the whole.
//
// Concurrency: one mutex for the registry of topics, one for each partition (guards what Apply changes), one for each
// subscription (guards its seats), one for each channel (guards its queue.Channel). They are taken in this order and held for computation only, never across a disk, a network, a
// callback or a wait. Checkpoints and retention run on the keeper's goroutine, recorded finishes on the flusher's, timeouts
// and due times on one runtime timer for each channel that has any.
package broker
