package live

import (
	"math"
	"time"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// Rates are events a second.
type Rates struct {
	In       float64 `json:"in"`
	Out      float64 `json:"out"`
	Requeued float64 `json:"requeued"`
	TimedOut float64 `json:"timed_out"`
}

func (r *Rates) add(other Rates) {
	r.In = tidy(r.In + other.In)
	r.Out = tidy(r.Out + other.Out)
	r.Requeued = tidy(r.Requeued + other.Requeued)
	r.TimedOut = tidy(r.TimedOut + other.TimedOut)
}

// tidy keeps a tenth: more is noise, and makes rows differ that are the same to the eye.
func tidy(v float64) float64 { return math.Round(v*10) / 10 }

// tracker remembers the counters of nodes, so that the next look at them gives rates.
type tracker struct {
	nodes map[string]*nodeCounts
}

// nodeCounts are the counters of one node at two looks.
type nodeCounts struct {
	before, now     map[key]int64
	beforeAt, nowAt time.Time
}

// key names a counter.
type key struct {
	topic, channel string
	of             counter
}

type counter byte

const (
	countIn counter = iota
	countOut
	countRequeued
	countTimedOut
)

// node begins a look at a node.
func (t *tracker) node(name string, at time.Time) *nodeCounts {
	if t.nodes == nil {
		t.nodes = map[string]*nodeCounts{}
	}
	n := t.nodes[name]
	if n == nil {
		n = &nodeCounts{}
		t.nodes[name] = n
	}
	n.before, n.beforeAt = n.now, n.nowAt
	n.now, n.nowAt = make(map[key]int64, len(n.before)), at
	return n
}

// forget drops the nodes that were not looked at this time.
func (t *tracker) forget(at time.Time) {
	for name, n := range t.nodes {
		if !n.nowAt.Equal(at) {
			delete(t.nodes, name)
		}
	}
}

// rate notes a counter and returns how fast it grew since the last look; 0 if it was not there, or began anew.
func (n *nodeCounts) rate(k key, value int64) float64 {
	n.now[k] = value
	before, ok := n.before[k]
	elapsed := n.nowAt.Sub(n.beforeAt).Seconds()
	if !ok || value <= before || elapsed <= 0 {
		return 0
	}
	return tidy(float64(value-before) / elapsed)
}

// channelRates are a channel's. nsqd does not count finishes: they are what came in and is not there any more, which takes emptying a
// channel for finishing.
func (n *nodeCounts) channelRates(topic string, ch *upstream.NodeChannel) Rates {
	at := func(of counter) key { return key{topic, ch.ChannelName, of} }
	gone := ch.MessageCount - ch.Depth - ch.InFlightCount - ch.DeferredCount
	return Rates{
		In: n.rate(at(countIn), ch.MessageCount), Out: n.rate(at(countOut), gone),
		Requeued: n.rate(at(countRequeued), ch.RequeueCount), TimedOut: n.rate(at(countTimedOut), ch.TimeoutCount),
	}
}
