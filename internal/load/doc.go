// Package load puts load on a broker that speaks the NSQ protocol and counts what comes of it.
//
// A Load says what to do, a Target where; Run does it, bounded in time and count, on topics of its own that it deletes at the
// end, and returns a Result. It speaks on sockets itself, with internal/nsqwire, so that the generator costs as little as the
// protocol allows: one goroutine for each connection, none for a message, one read and one write for as many messages as have
// arrived. Null is a server that does nothing, for the most that the generator and a machine can do.
//
// What is counted is proved. Each body begins with a stamp,
//
//	[time 8: ns since the run began] [identity 8: topic, stream, number]
//
// where a stream is what one publisher sends to one topic. A set of bits for each stream and channel tells at the end what was
// lost, what nobody sent and what came twice. A publisher counts an answer, not a write. With a rate, messages leave by a
// schedule, whatever the server does, and their time is the one they were due at: a server that stalls is charged for all that
// it kept waiting (coordinated omission).
package load
