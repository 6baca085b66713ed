// Package lookupd is nsqlookupd: the service that tells consumers which brokers have a topic.
//
//	brokers ── TCP, lookup protocol V1 (session.go) ──┐       both also by TLS on the same port (tls.go)
//	                                                  ├── Server: one mutex, one registry.Registry
//	consumers, nsqadmin ── HTTP (http.go, show.go) ───┘
//
// Its state is what the connected brokers have registered, and what was created by hand since the start; nothing is stored. Several
// services know nothing of each other: every broker registers with all of them.
//
// Protocol and API are those of nsqlookupd 1.3.0. Deviations: lines, bodies, connections, registrations are bounded; a connection that
// says nothing for twice the inactive timeout is closed; "*" is a name like another, where nsqlookupd takes it for all topics (so that
// /topic/delete?topic=* deletes them); lists are sorted; /debug tells 0 of what was never tombstoned.
package lookupd
