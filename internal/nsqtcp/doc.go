// Package nsqtcp is the NSQ TCP door: it serves nsqd's V2 protocol to publishers and consumers of a broker.
//
//	            ┌────────────── session: one connection ──────────────┐
//	            │ reading goroutine          answers      writing     │
//	client ────►│ burst ─► parse ─► cmd_*.go ──► ring ──► goroutine ──┼──► client
//	            │             │                  ▲           ▲        │
//	            └─────────────┼──────────────────┼───────────┼────────┘
//	                          ▼ Publish, Finish  │ Proposed  │ Pull
//	                                       broker
//
// Two goroutines serve a connection. The reading one parses every complete command of what one read brought (a burst), adds
// all PUBs of a burst for one topic to one batch and submits it once, and hands over all FINs of a burst at once. It never
// waits for a commit: each command that is owed an answer takes its place in a ring, in order, and the writing goroutine
// sends from the ring's head what is answered. At 1,024 unanswered commands, or 4 MiB of them, reading stops until there is
// room. A goroutine of the broker that has committed a batch sends its OKs itself where it can do so without blocking and
// nobody else is sending; the writing goroutine does the rest (ownership.go, direct.go). The writing goroutine also pulls
// messages from the subscription into its one output buffer and sends heartbeats; as soon as nothing more is ready it
// flushes. So a client that does not read blocks nobody but its own writing goroutine, and that no longer than a heartbeat
// interval.
//
// A fatal error, a failed publish, the end of the input, a deleted channel and Shutdown all take the same way out: the
// reading goroutine stops and closes the subscription, the last answers go out in their order, and the connection closes.
//
// Nothing here allocates, switches goroutines or uses a Go channel for each message; for each burst, batch or flush some of
// it happens.
package nsqtcp
