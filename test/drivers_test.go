//go:build process

package test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// reconnectPause is how long clients wait between attempts to reach a node that is down.
const reconnectPause = 10 * time.Millisecond

// publisherPatience is how long a publisher goes on without any OK before it gives up.
const publisherPatience = 60 * time.Second

// burstPublisher publishes in bursts on one pipelining connection, which it replaces when it breaks, until want commands were
// answered OK. What was not answered is recorded as unknown and never sent again.
type burstPublisher struct {
	addr, topic  string
	id           uint32
	want         int // commands to be answered OK
	multi        int // messages in each MPUB, 0 = PUB
	largest      int // bytes of the largest body, 0 = 260
	longestDefer time.Duration
	lastDue      *atomic.Int64 // raised to the latest due time, Unix ns
	rec          *history.Recorder
	answered     *atomic.Int64 // OKs of all publishers
	bytes        *atomic.Int64 // of all bodies made
	chance       *rand.Rand

	ok   atomic.Int64 // OKs of this one
	next uint32       // sequence
}

func (p *burstPublisher) run() error {
	lastOK, since := int64(-1), time.Now()
	for p.ok.Load() < int64(p.want) {
		if ok := p.ok.Load(); ok != lastOK {
			lastOK, since = ok, time.Now()
		} else if time.Since(since) > publisherPatience {
			return fmt.Errorf("publisher %d: no OK for %v, has %d of %d", p.id, publisherPatience, ok, p.want)
		}
		conn, err := rawnsq.NewPublisher(p.addr, 100, p.outcome)
		if err != nil {
			time.Sleep(reconnectPause)
			continue
		}
		p.useConnection(conn)
		conn.Close()
	}
	return nil
}

// useConnection publishes until enough is answered or the connection breaks.
func (p *burstPublisher) useConnection(conn *rawnsq.Publisher) {
	for {
		left := p.want - int(p.ok.Load())
		if left <= 0 {
			return
		}
		size := publishBurst
		if p.multi > 0 {
			size = max(1, publishBurst/p.multi)
		}
		for range min(left, 1+p.chance.IntN(size*2)) {
			first := p.next
			if conn.Publish(uint64(first), p.command()) != nil {
				return
			}
		}
		if conn.Wait() != nil {
			return
		}
		time.Sleep(time.Duration(p.chance.Int64N(int64(longestBurstRest))))
	}
}

// command makes and records the next command.
func (p *burstPublisher) command() []byte {
	if p.multi > 0 {
		bodies := make([][]byte, p.multi)
		for i := range bodies {
			bodies[i] = p.message(0)
		}
		return rawnsq.AppendMulti(nil, p.topic, bodies)
	}
	if p.longestDefer > 0 {
		d := time.Duration(p.chance.Int64N(int64(p.longestDefer))).Truncate(time.Millisecond)
		if due := time.Now().Add(d).UnixNano(); due > p.lastDue.Load() {
			p.lastDue.Store(due)
		}
		return rawnsq.AppendDeferred(nil, p.topic, d, p.message(d))
	}
	return rawnsq.AppendPub(nil, p.topic, p.message(0))
}

func (p *burstPublisher) message(deferred time.Duration) []byte {
	k := history.Key{Publisher: p.id, Seq: p.next}
	p.next++
	p.rec.Sent(k, deferred)
	size := 60 + p.chance.IntN(max(200, p.largest-60))
	p.bytes.Add(int64(size))
	return p.rec.Body(k, size)
}

// outcome records what became of the command that began with the message tag.
func (p *burstPublisher) outcome(tag uint64, err error) {
	record := p.rec.Answered
	switch {
	case errors.Is(err, rawnsq.ErrUnknown):
		record = p.rec.Unknown
	case err != nil:
		record = p.rec.Refused
	}
	for i := range uint32(max(1, p.multi)) {
		record(history.Key{Publisher: p.id, Seq: uint32(tag) + i})
	}
	if err == nil {
		p.ok.Add(1)
		p.answered.Add(1)
	}
}

// consumers are consumers of several channels of a topic that reconnect until they are closed and record all they see.
type consumers struct {
	addr, topic string
	rec         *history.Recorder
	latest      atomic.Int64 // Unix ns of the latest delivery
	closing     chan struct{}
	all         sync.WaitGroup
}

func newConsumers(addr, topic string, rec *history.Recorder) *consumers {
	return &consumers{addr: addr, topic: topic, rec: rec, closing: make(chan struct{})}
}

// add starts n consumers of a channel. A share of the messages is requeued, with a random delay, the rest finished.
func (c *consumers) add(channel string, n int, requeueShare float64, seed uint64) {
	for i := range n {
		r := &recordingConsumer{of: c, channel: channel, requeueShare: requeueShare,
			chance: rand.New(rand.NewPCG(seed, uint64(i))), keys: map[rawnsq.ID]history.Key{}}
		c.all.Go(r.run)
	}
}

// waitIdle returns when nothing was delivered for the length of quiet, and not before start of the quiet time.
func (c *consumers) waitIdle(start time.Time, quiet time.Duration) {
	for {
		last := time.Unix(0, max(start.UnixNano(), c.latest.Load()))
		if time.Since(last) > quiet {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// close has every consumer send CLS, wait for its answer and disconnect.
func (c *consumers) close() {
	close(c.closing)
	c.all.Wait()
}

// recordingConsumer is one of consumers.
type recordingConsumer struct {
	of           *consumers
	channel      string
	requeueShare float64
	chance       *rand.Rand
	keys         map[rawnsq.ID]history.Key // of what was delivered on the current connection and not requeued
}

func (r *recordingConsumer) run() {
	for {
		conn, err := rawnsq.NewConsumer(r.of.addr, r.of.topic, r.channel, rawnsq.ConsumerOptions{Ready: 200, Failed: r.failed})
		if err == nil {
			err = r.useConnection(conn)
			conn.Close()
			r.of.rec.Disconnected(r.channel)
		}
		if errors.Is(err, rawnsq.ErrCloseWait) {
			return
		}
		select {
		case <-r.of.closing:
			return
		case <-time.After(reconnectPause):
		}
	}
}

func (r *recordingConsumer) useConnection(conn *rawnsq.Consumer) error {
	clear(r.keys)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-r.of.closing:
			conn.Cls()
			conn.Flush()
		case <-over:
		}
	}()
	for {
		d, err := conn.Next()
		if err != nil {
			return err
		}
		r.of.latest.Store(time.Now().UnixNano())
		k, ok := r.of.rec.Delivered(r.channel, d.Body, d.Attempts)
		if !ok {
			conn.Finish(d.ID)
			continue
		}
		r.keys[d.ID] = k
		if r.chance.Float64() < r.requeueShare {
			delay := time.Duration(r.chance.Int64N(int64(500 * time.Millisecond))).Truncate(time.Millisecond)
			r.of.rec.Requeued(r.channel, k, delay)
			conn.Requeue(d.ID, delay)
		} else {
			r.of.rec.Finished(r.channel, k)
			conn.Finish(d.ID)
		}
	}
}

// failed records a FIN or REQ that the broker refused: "E_FIN_FAILED FIN <id> failed …".
func (r *recordingConsumer) failed(e rawnsq.BrokerError) {
	f := strings.Fields(string(e))
	if len(f) < 3 || len(f[2]) != len(rawnsq.ID{}) {
		return
	}
	k, ok := r.keys[rawnsq.ID([]byte(f[2]))]
	switch {
	case !ok:
	case f[1] == "FIN":
		r.of.rec.FinishFailed(r.channel, k)
	case f[1] == "REQ":
		r.of.rec.RequeueFailed(r.channel, k)
	}
}

// probe publishes one message at a time to a topic of its own and keeps the slowest answer: no sync took longer.
type probe struct {
	closing chan struct{}
	over    sync.WaitGroup
}

func startProbe(addr, topic string, slowest *atomic.Int64) *probe {
	p := &probe{closing: make(chan struct{})}
	p.over.Go(func() {
		for !p.closed(reconnectPause) {
			var sent time.Time
			conn, err := rawnsq.NewPublisher(addr, 1, func(_ uint64, err error) {
				if took := int64(time.Since(sent)); err == nil && took > slowest.Load() {
					slowest.Store(took)
				}
			})
			if err != nil {
				continue
			}
			for !p.closed(2 * time.Millisecond) {
				sent = time.Now()
				if conn.Publish(0, rawnsq.AppendPub(nil, topic, []byte("probe"))) != nil || conn.Wait() != nil {
					break
				}
			}
			conn.Close()
		}
	})
	return p
}

// closed waits a little and tells whether the probe is to end.
func (p *probe) closed(pause time.Duration) bool {
	select {
	case <-p.closing:
		return true
	case <-time.After(pause):
		return false
	}
}

func (p *probe) stop() {
	close(p.closing)
	p.over.Wait()
}
