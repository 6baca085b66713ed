package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	answerTimeout = 30 * time.Second // without any answer or delivery, a run gives up
	maxErrors     = 10               // kept of a run
)

// Progress is what a run has done so far.
type Progress struct {
	Elapsed              time.Duration
	Published, Delivered int64
}

// run is one load at work. Its goroutines share the counters and nothing else.
type run struct {
	load   Load
	target Target
	topics []string
	began  time.Time
	until  atomic.Int64 // ns since began: no publish after this

	claimed, published, delivered atomic.Int64
	consumingEnded                atomic.Bool

	publishers []*publisher
	consumers  []*consumer

	errors struct {
		sync.Mutex
		list  []string
		count int
	}
}

// Run puts a load on a broker, and returns when it is over, latest about a minute after the load's duration, or soon after ctx
// ends. progress, if not nil, is called a few times a second from another goroutine. The error is of setting it up; what goes
// wrong under load is in the result.
func Run(ctx context.Context, target Target, l Load, progress func(Progress)) (*Result, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	if l.Rate > 0 {
		l.Window = maxWindow
	}
	r := &run{load: l, target: target}
	defer r.tearDown()
	if err := r.setUp(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { r.until.Store(0) })
	defer stop()
	reporting := make(chan struct{})
	go func() { defer close(reporting); r.report(ctx, progress) }()
	result := r.work(ctx)
	cancel()
	<-reporting
	return result, nil
}

// setUp makes the topics and connects everybody.
func (r *run) setUp(ctx context.Context) error {
	l := &r.load
	name := fmt.Sprintf("%s%08x", r.target.Prefix, rand.Uint32())
	for i := range l.Topics {
		topic := fmt.Sprintf("%s_%d", name, i)
		if err := r.target.change(ctx, "/topic/create", topic); err != nil {
			return err
		}
		r.topics = append(r.topics, topic)
	}
	for i := range l.consumers() {
		c := &consumer{run: r, topic: i % l.Topics, channel: i / l.Topics % l.Channels}
		var err error
		if c.conn, err = dial(r.target.TCP, l, floodBytes); err != nil {
			return err
		}
		r.consumers = append(r.consumers, c)
		if err := c.conn.subscribe(r.topics[c.topic], fmt.Sprintf("channel_%d", c.channel)); err != nil {
			return err
		}
	}
	for i := range l.Connections {
		p := &publisher{run: r, sequence: uint64(i) << 40}
		for t := i % l.Topics; t < l.Topics; t += l.Connections {
			p.topics = append(p.topics, t)
			p.commands = append(p.commands, command(r.topics[t], l))
		}
		p.tallies = make([]tally, len(p.topics))
		var err error
		if p.conn, err = dial(r.target.TCP, l, answerBytes); err != nil {
			return err
		}
		r.publishers = append(r.publishers, p)
	}
	return ctx.Err()
}

// tearDown closes all connections and deletes the topics.
func (r *run) tearDown() {
	for _, p := range r.publishers {
		p.conn.Close()
	}
	for _, c := range r.consumers {
		c.conn.Close()
	}
	for _, topic := range r.topics {
		if err := r.target.change(context.Background(), "/topic/delete", topic); err != nil {
			r.complain(err)
		}
	}
}

// work publishes and consumes, and counts.
func (r *run) work(ctx context.Context) *Result {
	var publishing, consuming sync.WaitGroup
	r.begin()
	consume := func() {
		for _, c := range r.consumers {
			if err := c.ready(); err != nil {
				r.complain(err)
			}
			consuming.Go(func() { r.complain(c.consume()) })
		}
	}
	if r.load.Kind != Sub {
		consume()
	}
	for _, p := range r.publishers {
		p.conn.SetDeadline(r.began.Add(r.load.Duration + answerTimeout))
		publishing.Go(func() { r.complain(p.publish()) })
	}
	publishing.Wait()
	published, drainFrom := r.now(), int64(0)
	if r.load.Kind == Sub {
		drainFrom = published
		consume()
	}
	r.drain(ctx)
	r.consumingEnded.Store(true)
	for _, c := range r.consumers {
		c.conn.SetReadDeadline(time.Unix(1, 0))
	}
	consuming.Wait()
	return r.result(published, drainFrom)
}

// begin starts the clock.
func (r *run) begin() {
	r.began = time.Now()
	r.until.Store(int64(r.load.Duration))
}

// now returns the time in ns since the run began.
func (r *run) now() int64 { return int64(time.Since(r.began)) }

// publishingEnded reports whether nothing more is to be published.
func (r *run) publishingEnded() bool {
	return r.now() >= r.until.Load() || r.load.Messages > 0 && r.claimed.Load() >= r.load.Messages
}

// overdue reports whether answers are waited for too long.
func (r *run) overdue() bool { return r.now() >= int64(r.load.Duration+answerTimeout) }

// claim takes n messages of those to be published; false if none are left.
func (r *run) claim(n int64) bool {
	return r.load.Messages == 0 || r.claimed.Add(n)-n < r.load.Messages
}

// drain waits until everything is delivered, nothing has come for a while, or ctx ends.
func (r *run) drain(ctx context.Context) {
	if len(r.consumers) == 0 {
		return
	}
	const idle = 5 * time.Second
	want, seen, moved := r.published.Load()*int64(r.load.Channels), int64(-1), time.Now()
	end := time.Now().Add(r.load.Duration + answerTimeout)
	for ctx.Err() == nil && time.Now().Before(end) {
		got := r.delivered.Load()
		if got >= want || got == seen && time.Since(moved) > idle {
			return
		}
		if got != seen {
			seen, moved = got, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
}

// report calls progress until ctx ends.
func (r *run) report(ctx context.Context, progress func(Progress)) {
	if progress == nil {
		return
	}
	began := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			progress(Progress{Elapsed: time.Since(began), Published: r.published.Load(), Delivered: r.delivered.Load()})
		}
	}
}

// complain notes an error, if it is one.
func (r *run) complain(err error) {
	if err == nil {
		return
	}
	r.errors.Lock()
	defer r.errors.Unlock()
	if r.errors.count++; r.errors.count <= maxErrors {
		r.errors.list = append(r.errors.list, err.Error())
	}
}

// result adds up what all connections have counted.
func (r *run) result(published, drainFrom int64) *Result {
	s := &Result{Load: r.load, Seconds: float64(published) / 1e9, Published: r.published.Load(), Delivered: r.delivered.Load()}
	var answers, lag, deliveries histogram
	sent := make([]tally, len(r.topics))
	for _, p := range r.publishers {
		answers.merge(&p.answers)
		lag.merge(&p.lag)
		s.Refused += p.refused
		for i, t := range p.topics {
			sent[t].merge(p.tallies[i])
		}
	}
	got := make([]tally, len(r.topics)*r.load.Channels)
	last := drainFrom
	for _, c := range r.consumers {
		deliveries.merge(&c.deliveries)
		got[c.topic*r.load.Channels+c.channel].merge(c.tally)
		s.Again, last = s.Again+c.again, max(last, c.last)
	}
	s.Answers, s.Lag = answers.quantiles(), lag.quantiles()
	if r.load.Kind == Sub {
		s.Answers = nil
	} else {
		s.PublishRate, s.Deliveries = float64(s.Published)/s.Seconds, deliveries.quantiles()
	}
	if s.Delivered > 0 {
		s.DeliverySeconds = float64(last-drainFrom) / 1e9
		s.DeliveryRate = float64(s.Delivered) / s.DeliverySeconds
	}
	if len(r.consumers) > 0 {
		for i, g := range got {
			if w := sent[i/r.load.Channels]; g != w {
				r.complain(fmt.Errorf("%s, channel %d: %d messages were answered with OK, %d deliveries came, and they are not the same",
					r.topics[i/r.load.Channels], i%r.load.Channels, w.count, g.count))
			}
		}
	}
	if s.Published == 0 {
		r.complain(fmt.Errorf("nothing was published"))
	}
	s.Errors = slices.Clone(r.errors.list)
	return s
}
