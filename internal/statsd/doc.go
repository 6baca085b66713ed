// Package statsd pushes a node's statistics to a statsd daemon by UDP, under the names that nsqd gives them:
//
//	PREFIX topic.TOPIC.message_count:12|c                     counters: what came since the last push
//	PREFIX topic.TOPIC.depth:3|g                              gauges
//	PREFIX topic.TOPIC.channel.CHANNEL.in_flight_count:1|g
//	PREFIX mem.heap_objects:12345|g
//
// report.go has all names. A packet holds whole lines only. The packets of one push are spread evenly over the interval less a second,
// as nsqd does, so that a daemon's receive buffer is not overrun.
//
// Run belongs to one goroutine; nothing else is shared.
package statsd
