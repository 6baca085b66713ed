package api

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

const (
	nodePoints = 720 // an hour of steps of 5 s
	points     = 120 // an hour of steps of 30 s
	// pacePoints is over how many points of the node's history the filling of the disk is judged: five minutes.
	pacePoints = 60
)

// figures are what a point of history holds. Counters are those since the node started.
type figures struct {
	in, out, requeued, timedOut int64 // counters
	depth, inFlight, deferred   int64
	syncP99                     float64
	diskFree                    int64
}

func (f *figures) add(o *figures) {
	f.in += o.in
	f.out += o.out
	f.requeued += o.requeued
	f.timedOut += o.timedOut
	f.depth += o.depth
	f.inFlight += o.inFlight
	f.deferred += o.deferred
}

// point is one step of history. Rates are events a second.
type point struct {
	in, out, requeued, timedOut float32
	depth, inFlight, deferred   float32
	syncP99, diskFree           float32
}

// ring holds the last points of one thing, and the counters at the last of them.
type ring struct {
	points []point // grows to its bound, then goes round
	quiet  int     // points before any that is not zero, in place of them: most of 1,000 topics are quiet
	next   int
	most   int
	last   figures
	seen   int64 // the step at which it was sampled last; 0 before the first
}

// add appends a step; a ring that missed some begins anew.
func (r *ring) add(step int64, f figures, seconds float64) {
	if r.seen == 0 || r.seen != step-1 || seconds <= 0 {
		r.last, r.seen, r.points, r.next, r.quiet = f, step, r.points[:0], 0, 0
		return
	}
	rate := func(now, before int64) float32 { return float32(max(0, float64(now-before)) / seconds) }
	p := point{
		in: rate(f.in, r.last.in), out: rate(f.out, r.last.out), requeued: rate(f.requeued, r.last.requeued), timedOut: rate(f.timedOut, r.last.timedOut),
		depth: float32(f.depth), inFlight: float32(f.inFlight), deferred: float32(f.deferred), syncP99: float32(f.syncP99), diskFree: float32(f.diskFree),
	}
	r.last, r.seen = f, step
	if len(r.points) == 0 && p == (point{}) {
		r.quiet = min(r.quiet+1, r.most)
		return
	}
	if r.quiet > 0 {
		r.points, r.quiet = make([]point, r.quiet), 0
	}
	if len(r.points) < r.most {
		r.points = append(r.points, p)
		return
	}
	r.points[r.next] = p
	r.next = (r.next + 1) % r.most
}

// count returns how many points there are.
func (r *ring) count() int { return r.quiet + len(r.points) }

// each calls fn for the points, oldest first.
func (r *ring) each(fn func(*point)) {
	for range r.quiet {
		fn(&point{})
	}
	for i := range r.points {
		fn(&r.points[(r.next+i)%len(r.points)])
	}
}

// newest returns the last point.
func (r *ring) newest() (p point) {
	if n := len(r.points); n > 0 {
		p = r.points[(r.next+n-1)%n]
	}
	return p
}

// key names a topic, or a channel.
type key struct{ topic, channel string }

// recorder keeps the history. Its memory is bounded: one ring of 720 points, and at most MaxSeries of 120.
type recorder struct {
	options *Options

	mu struct {
		sync.Mutex
		node       ring
		nodeAt     time.Time // of the last sample
		series     map[key]*ring
		seriesAt   time.Time
		step       int64 // counts the samples of the node, from 1
		seriesStep int64
	}
}

func newRecorder(o *Options) *recorder {
	r := &recorder{options: o}
	r.mu.node.most = nodePoints
	r.mu.series = make(map[key]*ring)
	return r
}

// sample takes samples until the context ends.
func (s *Server) sample(ctx context.Context) {
	ticker := time.NewTicker(s.options.NodeStep)
	defer ticker.Stop()
	for {
		s.takeSample(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// takeSample reads the broker's counters once, for all rings.
func (s *Server) takeSample(now time.Time) {
	node := figures{syncP99: s.syncs.latency(now, s.options.NodeStep).P99}
	_, node.diskFree, _ = s.options.Space()
	all := s.broker.Stats("", "", false)
	r := s.history
	r.mu.Lock()
	defer r.mu.Unlock()
	series := now.Sub(r.mu.seriesAt) >= s.options.Step-s.options.NodeStep/2
	if series {
		r.mu.seriesStep++
	}
	for i := range all {
		topic := figuresOf(&all[i], func(c *broker.ChannelStats, f figures) {
			if series {
				r.addSeriesLocked(key{all[i].Name, c.Name}, f, now)
			}
		})
		node.add(&topic)
		if series {
			r.addSeriesLocked(key{all[i].Name, ""}, topic, now)
		}
	}
	r.mu.step++
	r.mu.node.add(r.mu.step, node, now.Sub(r.mu.nodeAt).Seconds())
	r.mu.nodeAt = now
	if series {
		r.mu.seriesAt = now
		for k, old := range r.mu.series {
			if old.seen != r.mu.seriesStep {
				delete(r.mu.series, k)
			}
		}
	}
}

// figuresOf adds up a topic, and tells of each channel.
func figuresOf(t *broker.TopicStats, each func(*broker.ChannelStats, figures)) figures {
	sum := figures{in: int64(t.MessageCount), depth: t.Depth}
	for i := range t.Channels {
		c := &t.Channels[i]
		f := figures{
			in: int64(c.MessageCount), requeued: int64(c.RequeueCount), timedOut: int64(c.TimeoutCount),
			depth: c.Depth, inFlight: c.InFlight, deferred: c.Deferred,
		}
		f.out = f.in - f.depth - f.inFlight - f.deferred // what came in and is not there any more
		each(c, f)
		f.in = 0
		sum.add(&f)
	}
	return sum
}

func (r *recorder) addSeriesLocked(k key, f figures, now time.Time) {
	series := r.mu.series[k]
	if series == nil {
		if len(r.mu.series) >= r.options.MaxSeries {
			return
		}
		series = &ring{most: points}
		r.mu.series[k] = series
	}
	series.add(r.mu.seriesStep, f, now.Sub(r.mu.seriesAt).Seconds())
}

// rates are the newest of the node.
func (r *recorder) rates() rates {
	r.mu.Lock()
	defer r.mu.Unlock()
	return newRates(r.mu.node.newest())
}

// ratesOf are the newest of a topic or channel; 0 if it has no history.
func (r *recorder) ratesOf(k key) rates {
	r.mu.Lock()
	defer r.mu.Unlock()
	if series := r.mu.series[k]; series != nil {
		return newRates(series.newest())
	}
	return rates{}
}

// fullIn is in how many seconds the disk is full at the pace of the last five minutes; nil if it does not fill.
func (r *recorder) fullIn() *int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var free []float64
	r.mu.node.each(func(p *point) { free = append(free, float64(p.diskFree)) })
	free = free[max(0, len(free)-pacePoints):]
	if len(free) < 2 {
		return nil
	}
	last := free[len(free)-1]
	pace := (free[0] - last) / (float64(len(free)-1) * r.options.NodeStep.Seconds())
	if pace <= 0 {
		return nil
	}
	seconds := int64(last / pace)
	if seconds > 10*365*86400 {
		return nil
	}
	return &seconds
}

type rates struct {
	In       float64 `json:"in"`
	Out      float64 `json:"out"`
	Requeued float64 `json:"requeued"`
	TimedOut float64 `json:"timed_out"`
}

func newRates(p point) rates {
	return rates{tidy(p.in), tidy(p.out), tidy(p.requeued), tidy(p.timedOut)}
}

// tidy rounds to a tenth.
func tidy(v float32) float64 { return math.Round(float64(v)*10) / 10 }

// hour is the answer of /v1/history.
type hour struct {
	End      int64      `json:"end_ms"`
	Step     int64      `json:"step_ms"`
	In       []*float64 `json:"in"`
	Out      []*float64 `json:"out"`
	Requeued []*float64 `json:"requeued"`
	TimedOut []*float64 `json:"timed_out"`
	Depth    []*float64 `json:"depth"`
	InFlight []*float64 `json:"in_flight"`
	Deferred []*float64 `json:"deferred"`
	SyncP99  []*float64 `json:"sync_p99_ms,omitempty"`
	DiskFree []*float64 `json:"disk_free_bytes,omitempty"`
}

// lastHour is GET /v1/history[?topic=T[&channel=C]].
func (s *Server) lastHour(r *http.Request) (any, error) {
	p := query(r)
	if p.err != nil {
		return nil, p.err
	}
	k := key{p.values.Get("topic"), p.values.Get("channel")}
	if k.topic != "" {
		t, ok := s.broker.Topic(k.topic)
		if !ok {
			return nil, broker.ErrTopicNotFound
		}
		if _, ok := t.Channel(k.channel); !ok && k.channel != "" {
			return nil, broker.ErrChannelNotFound
		}
	}
	h := s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.topic == "" {
		return newHour(&h.mu.node, h.mu.nodeAt, s.options.NodeStep, nodePoints, true), nil
	}
	series := h.mu.series[k]
	if series == nil {
		series = &ring{}
	}
	return newHour(series, h.mu.seriesAt, s.options.Step, points, false), nil
}

// newHour lists the points of a ring, with null before the first.
func newHour(r *ring, end time.Time, step time.Duration, most int, node bool) *hour {
	h := &hour{End: end.UnixMilli(), Step: step.Milliseconds()}
	lists := []struct {
		to *[]*float64
		of func(*point) float32
	}{
		{&h.In, func(p *point) float32 { return p.in }}, {&h.Out, func(p *point) float32 { return p.out }},
		{&h.Requeued, func(p *point) float32 { return p.requeued }}, {&h.TimedOut, func(p *point) float32 { return p.timedOut }},
		{&h.Depth, func(p *point) float32 { return p.depth }}, {&h.InFlight, func(p *point) float32 { return p.inFlight }},
		{&h.Deferred, func(p *point) float32 { return p.deferred }},
		{&h.SyncP99, func(p *point) float32 { return p.syncP99 }}, {&h.DiskFree, func(p *point) float32 { return p.diskFree }},
	}
	for i, list := range lists {
		if i >= 7 && !node {
			break
		}
		values := make([]*float64, 0, most)
		for range most - r.count() {
			values = append(values, nil)
		}
		r.each(func(p *point) {
			v := math.Round(float64(list.of(p))*1000) / 1000
			values = append(values, &v)
		})
		*list.to = values
	}
	return h
}
