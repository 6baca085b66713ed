// Package api is Weir's own HTTP API of a node, below /v1/: what NSQ's cannot tell. A door like nsqhttp, beside which it is served.
//
//	server.go     what is where; errors             node.go       GET /v1/node, /v1/cluster
//	history.go    the last hour: rings, sampler     syncs.go      how long the disk takes
//	topics.go     topics and channels               browse.go     messages of a log: browse, one, its body
//	search.go     bounded search                    held.go       what a channel holds; finish, requeue
//	publish.go    publish, republish                message.go    a message as JSON
//
// docs/http-api.md tells what it is for, docs/openapi.yaml describes it exactly; a test compares the two with the server.
//
// Concurrency: handlers run on net/http's goroutines; one goroutine samples for history and rates. What reads logs is bounded in
// number, bytes and time.
package api
