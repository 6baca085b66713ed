package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	Published, Delivered int64 // messages answered with OK; deliveries
	Errors               int64
}

// run is one load at work. Its goroutines share the counters and nothing else.
type run struct {
	load   Load
	target Target
	topics []string
	began  time.Time
	until  atomic.Int64 // ns since began: no publish after this

	claimed, published, refused, delivered atomic.Int64
	again                                  atomic.Int64 // deliveries that say they are not the first
	consumingEnded                         atomic.Bool

	publishers []*publisher
	consumers  []*consumer

	errors struct {
		sync.Mutex
		list  []string // the first maxErrors
		count int64    // of those that are not refusals, losses or phantoms, which are counted as messages
	}
}

// Run puts a load on a broker, and returns when it is over, latest about a minute after the load's duration, or soon after ctx
// ends. progress, if not nil, is called a few times a second from another goroutine. The error is of setting it up; what goes
// wrong under load is in the result.
func Run(ctx context.Context, target Target, l Load, progress func(Progress)) (*Result, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	if l.HTTP && target.HTTP == "" {
		return nil, errors.New("publishing by HTTP wants the broker's HTTP address")
	}
	if l.Rate > 0 {
		l.Window = maxWindow
	}
	r := &run{load: l, target: target}
	tearDown := sync.OnceFunc(r.tearDown)
	defer tearDown()
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
	tearDown()
	r.verdict(result)
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
		c.streams = make([]numbers, max((l.Connections-c.topic+l.Topics-1)/l.Topics, 1))
		var err error
		if c.conn, err = dial(r.target.TCP, false, l, floodBytes); err != nil {
			return err
		}
		r.consumers = append(r.consumers, c)
		if err := c.conn.subscribe(r.topics[c.topic], fmt.Sprintf("channel_%d", c.channel)); err != nil {
			return err
		}
	}
	address := r.target.TCP
	if l.HTTP {
		address = r.target.HTTP
	}
	for i := range l.Connections {
		p := &publisher{run: r}
		for t := i % l.Topics; t < l.Topics; t += l.Connections {
			p.streams = append(p.streams, &stream{topic: t, index: i / l.Topics, command: command(r.topics[t], &r.target, l)})
		}
		var err error
		if p.conn, err = dial(address, l.HTTP, l, answerBytes); err != nil {
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
	use := r.observe()
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
	result := r.result(published, drainFrom)
	result.Server = use()
	return result
}

// observe begins to look at the server. What it returns ends that, and tells what the load took.
func (r *run) observe() func() *ServerUse {
	ctx, cancel := context.WithCancel(context.Background())
	usedC := make(chan *ServerUse, 1)
	go func() {
		use, err := r.target.watch(ctx)
		r.complain(err)
		usedC <- use
	}()
	return func() *ServerUse {
		cancel()
		if use := <-usedC; use != nil {
			return use
		}
		return r.target.heap()
	}
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

// claim takes n messages of those to be published; false if none are left.
func (r *run) claim(n int64) bool {
	return r.load.Messages == 0 || r.claimed.Add(n)-n < r.load.Messages
}

// drain waits until everything is delivered, nothing has come for a while, or ctx ends. Messages that come twice can stand for
// others in the count, so once there are any only quiet tells the end.
func (r *run) drain(ctx context.Context) {
	if len(r.consumers) == 0 {
		return
	}
	const idle, idleWithAll = 5 * time.Second, 500 * time.Millisecond
	want, seen, moved := r.published.Load()*int64(r.load.Channels), int64(-1), time.Now()
	end := time.Now().Add(r.load.Duration + answerTimeout)
	for ctx.Err() == nil && time.Now().Before(end) {
		got := r.delivered.Load()
		quiet := time.Since(moved)
		if got >= want && (r.again.Load() == 0 || got == seen && quiet > idleWithAll) || got == seen && quiet > idle {
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
			progress(Progress{Elapsed: time.Since(began), Published: r.published.Load(), Delivered: r.delivered.Load(), Errors: r.mistakes()})
		}
	}
}

// complain counts and notes an error, if it is one.
func (r *run) complain(err error) {
	if err == nil {
		return
	}
	r.note(err)
	r.errors.Lock()
	defer r.errors.Unlock()
	r.errors.count++
}

// note keeps the text of an error that is counted elsewhere.
func (r *run) note(err error) {
	r.errors.Lock()
	defer r.errors.Unlock()
	if len(r.errors.list) < maxErrors {
		r.errors.list = append(r.errors.list, err.Error())
	}
}

// mistakes returns how many errors there were so far.
func (r *run) mistakes() int64 {
	r.errors.Lock()
	defer r.errors.Unlock()
	return r.errors.count + r.refused.Load()
}
