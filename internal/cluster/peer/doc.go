// Package peer is the connections between the nodes of a cluster: who may speak to whom, what a frame is, how much may wait.
// It knows nothing of what the frames say.
//
// A node dials every other one. For each pair and direction there are two connections that are kept up, one for each Lane, so
// that a large append never delays a vote. A third sort, bulk, is dialled for each Stream and closed with it: TCP's own flow
// control then holds for each transfer by itself. Frames and calls travel from the dialler to the listener; what goes back are
// answers. All methods of a Transport may be called from any goroutine.
//
//	dialler                                              listener
//	hello(cluster, from, to, life, lane, version)  ──►
//	                                               ◄──   hello, or a refusal that names its cause
//	confirmation                                   ──►
//	message, call, ping                            ──►
//	                                               ◄──   reply, failure, pong;  on bulk: data …, end or failure
//
// A frame, all numbers big-endian (docs/format/peer.md):
//
//	0    4        8      9        10     12        20
//	┌────┬────────┬──────┬────────┬──────┬─────────┬─────────┐
//	│ CRC│ length │ kind │ method │ code │ call id │ payload │
//	└────┴────────┴──────┴────────┴──────┴─────────┴─────────┘
//
// The CRC-32C covers the payload, then the header's bytes 4 to 20. What does not fit the rules closes that connection only, with
// a log line; lines of one cause are limited to one in thirty seconds.
//
// # Who is let in
//
// A hello is refused if it comes from another cluster, an unknown node, for another node than this one, from a newer protocol, or
// from a life of the node that is not above the highest one seen: then the node runs on an older copy of its disk and may have
// forgotten votes and entries that others rely on. Each side also tells the other the highest life that it has seen of it, and who
// does not remember that one refuses: so an older copy is not let in either after it has been started often enough. With TLS, the certificate decides first.
//
// # When a peer is down
//
// PeerDown is told at once when the control connection breaks and dialling again is refused, as it is when a process has died;
// else when nothing was heard for Limits.HeartbeatTimeout. PeerUp is told when the control connection stands.
package peer
