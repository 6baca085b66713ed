// Package admin is the admin page's server: nsqadmin's pages and JSON API over many nodes, Weir's or stock ones, and Weir's own
// additions below /api/v1/.
//
//	server.go     what is where; who may do what     assets.go    the page's files, hashed, compressed
//	topics.go nodes.go counter.go graphite.go config.go notify.go     nsqadmin's API, as docs/nsq-compatibility.md lists it
//	session.go relay.go publish.go history.go lookup.go               Weir's own, as docs/http-api.md lists it
//	access/       tokens, sessions, roles            upstream/    asking nodes and lookup services
//	live/         the stream of live updates         ui/          the browser's side
//
// It is a client of the nodes' HTTP APIs and of nothing else, so it runs beside any installation, and inside `weir serve` just
// the same.
//
// Concurrency: a Server has no state but sessions, live updates and the two settings that may change while it runs; handlers run on
// net/http's goroutines.
package admin
