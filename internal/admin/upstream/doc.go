// Package upstream asks nodes and lookup services over their HTTP APIs, Weir's as well as stock NSQ's, and adds up what they say.
//
//	client.go    one request: limits of time and size, the detour over HTTPS that nsqd asks for
//	fanout.go    many requests: at most so many at a time; what failed
//	lookupd.go   what lookup services know          nsqd.go    what a node says of itself and its topics
//	nodes.go     which nodes there are              stats.go   topics and channels over all nodes
//	actions.go   create, delete, pause, empty, tombstone
//
// Whoever answers may be down, slow, lying or broken. Nothing here fails because of one of them: every function returns what the
// others said, and Failures that name who said nothing useful.
//
// Concurrency: a Client may be used from any goroutine.
package upstream
