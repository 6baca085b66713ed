// Package cluster is a node's part in a cluster: it joins the Raft groups of package replica, the connections of package peer and the
// broker. For the broker it is the other nodes (broker.Cluster) and the node's logs (broker.Logs).
//
//	broker ── Publish, Change ──► relay, change ── calls ──► peer ══ network ══ peer ──► broker of the leader: Relayed, Change
//	   │                                                       ▲
//	   └── Open, Propose ──► replica.Groups ── frames, streams ┘
//
// A message between replicas is a frame on a lane; a batch for another node's log and a change are calls; a snapshot is a stream. What
// crosses the network is in docs/format/peer.md.
//
// Which node holds what says the catalog, which is a group of all members itself; who leads says Raft. Gossip decides nothing.
package cluster
