package config

import (
	"time"

	"github.com/weirmq/weir/internal/node"
)

// statistics defines what is measured of the time from publish to finish, and what is pushed where; names and defaults are nsqd's.
func statistics(s *Set, o *node.Options) {
	s.Floats(&o.Broker.LatencyQuantiles, "e2e-processing-latency-percentile", 0, 1, "measure this quantile, such as 0.99, of the time from publish to finish")
	s.alias("e2e-processing-latency-percentile", "e2e_processing_latency_percentiles")
	o.Broker.LatencyWindow = 10 * time.Minute
	s.Duration(&o.Broker.LatencyWindow, "e2e-processing-latency-window-time", time.Millisecond, maxDuration, "over what time it is measured")
	d := &o.Statsd
	s.Func("statsd-address", "HOST:PORT", d.Address, "HOST:PORT; empty: none", "push statistics to this statsd daemon, by UDP", orNothing(&d.Address, hostPort(&d.Address)))
	s.Duration(&d.Interval, "statsd-interval", time.Millisecond, maxDuration, "time from push to push")
	s.Bool(&d.MemStats, "statsd-mem-stats", "push those of the Go heap as well")
	s.String(&d.Prefix, "statsd-prefix", "TEXT", "before each name; %s is this node's address")
	s.Int(&d.PacketSize, "statsd-udp-packet-size", 1, 65507, "largest UDP packet, in bytes")
	s.Bool(&d.ExcludeEphemeral, "statsd-exclude-ephemeral", "leave ephemeral topics and channels out")
}
