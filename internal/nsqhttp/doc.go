// Package nsqhttp is nsqd's HTTP API over a broker: a door, as nsqtcp is.
//
// One file for each group of endpoints; together they are the compatibility table:
//
//	info.go     GET /ping, /info
//	pub.go      POST /pub, /mpub
//	topic.go    POST /topic/create, delete, empty, pause, unpause
//	channel.go  POST /channel/create, delete, empty, pause, unpause
//	stats.go    GET /stats (statstext.go: its text form)
//	metrics.go  GET /metrics: Prometheus; Weir's own
//	config.go   GET, PUT /config/:opt
//	debug.go    /debug/pprof/…, PUT /debug/setblockrate, POST /debug/freememory
//
// Paths, parameters, status codes, error words and JSON shapes are those of nsqd 1.3.0. Deviations: publishing answers OK when the
// messages are as durable as the node's sync policy says, /mpub is all or nothing, a disk that is full is 503 DISK_FULL, and
// setblockrate and freememory answer 200 instead of 500 after they did their work.
//
// Concurrency: a Server has no state of its own besides counters; handlers run on net/http's goroutines.
package nsqhttp
