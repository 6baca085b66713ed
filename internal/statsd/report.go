package statsd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/latency"
	"github.com/weirmq/weir/internal/memstats"
)

// report gathers the lines of one push into packets.
type report struct {
	options *Options
	before  map[string]uint64 // counters as of the last push
	counted map[string]uint64 // as of this one: what is gone is forgotten
	full    [][]byte
	open    []byte // the packet that takes more lines
}

func newReport(o *Options, before map[string]uint64) *report {
	return &report{options: o, before: before, counted: make(map[string]uint64, len(before))}
}

func (r *report) topics(topics []broker.TopicStats) {
	for i := range topics {
		t := &topics[i]
		if r.excludes(t.Name) {
			continue
		}
		of := "topic." + t.Name + "."
		r.counter(of+"message_count", t.MessageCount)
		r.counter(of+"message_bytes", t.MessageBytes)
		r.gauge(of+"depth", t.Depth)
		r.gauge(of+"backend_depth", t.Depth) // all is on disk
		r.latencies(of, t.Latency)
		for j := range t.Channels {
			if c := &t.Channels[j]; !r.excludes(c.Name) {
				r.channel(of+"channel."+c.Name+".", c)
			}
		}
	}
}

func (r *report) channel(of string, c *broker.ChannelStats) {
	r.counter(of+"message_count", c.MessageCount)
	r.gauge(of+"depth", c.Depth)
	r.gauge(of+"backend_depth", c.Depth)
	r.gauge(of+"in_flight_count", c.InFlight)
	r.gauge(of+"deferred_count", c.Deferred)
	r.counter(of+"requeue_count", c.RequeueCount)
	r.counter(of+"timeout_count", c.TimeoutCount)
	r.gauge(of+"clients", int64(c.ClientCount))
	r.latencies(of, c.Latency)
}

// latencies names a quantile by its percent, rounded: 0.999 is 100, as in nsqd. The value is in ns.
func (r *report) latencies(of string, measured *latency.Summary) {
	if measured == nil {
		return
	}
	for _, v := range measured.Values {
		r.gauge(fmt.Sprintf("%se2e_processing_latency_%.0f", of, v.Quantile*100), v.Took.Nanoseconds())
	}
}

func (r *report) memory(m *memstats.Stats) {
	r.gauge("mem.heap_objects", int64(m.HeapObjects))
	r.gauge("mem.heap_idle_bytes", int64(m.HeapIdleBytes))
	r.gauge("mem.heap_in_use_bytes", int64(m.HeapInUseBytes))
	r.gauge("mem.heap_released_bytes", int64(m.HeapReleasedBytes))
	r.gauge("mem.gc_pause_usec_100", int64(m.GCPauseUsec100))
	r.gauge("mem.gc_pause_usec_99", int64(m.GCPauseUsec99))
	r.gauge("mem.gc_pause_usec_95", int64(m.GCPauseUsec95))
	r.gauge("mem.next_gc_bytes", int64(m.NextGCBytes))
	r.counter("mem.gc_runs", uint64(m.GCTotalRuns))
}

func (r *report) excludes(name string) bool {
	return r.options.ExcludeEphemeral && strings.HasSuffix(name, "#ephemeral")
}

// counter reports by how much a count has grown. A topic that was deleted and made again starts at 0; nsqd reports a negative number then.
func (r *report) counter(name string, count uint64) {
	r.counted[name] = count
	if before := r.before[name]; before <= count {
		count -= before
	}
	r.line(name, int64(count), "|c\n")
}

func (r *report) gauge(name string, value int64) { r.line(name, value, "|g\n") }

func (r *report) line(name string, value int64, end string) {
	line := append([]byte(r.options.Prefix), name...)
	line = append(strconv.AppendInt(append(line, ':'), value, 10), end...)
	if len(r.open) > 0 && len(r.open)+len(line) > r.options.PacketSize {
		r.full, r.open = append(r.full, r.open), nil
	}
	r.open = append(r.open, line...)
}

// packets ends the report.
func (r *report) packets() [][]byte {
	if len(r.open) > 0 {
		r.full, r.open = append(r.full, r.open), nil
	}
	return r.full
}
