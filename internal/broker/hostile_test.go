package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// ordeal is a run over a log that refuses, truncates, delays and changes leaders. It notes what was answered OK and what was
// delivered, and knows what must be true in the end.
type ordeal struct {
	t    *testing.T
	node *node
	seed uint64

	mu        sync.Mutex
	sent      map[string]time.Time            // all bodies ever submitted, with their due times
	answered  map[string]bool                 // those answered OK
	delivered map[string]map[string]int       // channel → body → deliveries
	finished  map[string]map[string]time.Time // channel → body → when
	early     []string
}

const (
	ordealMessages = 200
	ordealLimit    = 20 * time.Second
)

func TestNothingAnsweredIsLostOverAHostileLog(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			o := &ordeal{t: t, seed: seed, sent: map[string]time.Time{}, answered: map[string]bool{},
				delivered: map[string]map[string]int{}, finished: map[string]map[string]time.Time{}}
			o.node = newNode(t, hostile.Hostile(seed))
			o.run()
		})
	}
}

func (o *ordeal) run() {
	ctx, cancel := context.WithTimeout(o.t.Context(), ordealLimit)
	defer cancel()
	topic := insist(o, ctx, func() (*broker.Topic, error) { return o.node.CreateTopic(ctx, "t") })
	for _, ch := range []string{"a", "b"} {
		o.delivered[ch], o.finished[ch] = map[string]int{}, map[string]time.Time{}
		insist(o, ctx, func() (*broker.Channel, error) { return topic.CreateChannel(ctx, ch) })
	}
	var publishers, consumers sync.WaitGroup
	for i := range 3 {
		publishers.Go(func() { o.publish(ctx, topic, i) })
	}
	done, stop := context.WithCancel(ctx)
	for i := range 4 {
		ch := []string{"a", "b"}[i%2]
		c := insist(o, ctx, func() (*consumer, error) {
			c := &consumer{t: o.t, wakeC: make(chan struct{}, 1)}
			var err error
			c.sub, err = o.node.Subscribe(ctx, "t", ch, c, broker.SubscribeOptions{MsgTimeout: 50 * time.Millisecond})
			return c, err
		})
		c.sub.SetReady(5)
		consumers.Go(func() { o.consume(done, ch, c, rand.New(rand.NewPCG(o.seed, uint64(i)))) })
	}
	publishers.Wait()
	for ctx.Err() == nil && !o.complete() {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	consumers.Wait()
	o.check()
}

// TestSessionsComeAndGoWhileLeadershipChanges looks for a session that leaves just when its channel begins to lead.
func TestSessionsComeAndGoWhileLeadershipChanges(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.channel("t", "c")
	var log *hostile.Log
	ids, _ := n.logs.List()
	for _, id := range ids {
		if id.Topic != 0 {
			log = n.logs.Log(id)
		}
	}
	stopC := make(chan struct{})
	var sessions sync.WaitGroup
	for range 2 {
		sessions.Go(func() {
			for {
				select {
				case <-stopC:
					return
				default:
					n.subscribe("t", "c", 1, plain).sub.Close()
				}
			}
		})
	}
	for range 3000 {
		log.Depose()
		log.Elect()
	}
	close(stopC)
	sessions.Wait()
	n.subscribe("t", "c", 1, plain)
	if s := n.Stats("t", "c", false)[0].Channels[0]; s.ClientCount != 1 {
		t.Errorf("%d clients, want 1", s.ClientCount)
	}
}

// insist repeats what a log may refuse until it works.
func insist[T any](o *ordeal, ctx context.Context, do func() (T, error)) T {
	o.t.Helper()
	for {
		v, err := do()
		if err == nil {
			return v
		}
		if ctx.Err() != nil {
			o.t.Fatalf("seed %d: still %v", o.seed, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func (o *ordeal) publish(ctx context.Context, topic *broker.Topic, publisher int) {
	r := rand.New(rand.NewPCG(o.seed, uint64(publisher)+100))
	for i := range ordealMessages {
		var due time.Time
		if r.IntN(10) == 0 {
			due = time.Now().Add(time.Duration(r.IntN(200)) * time.Millisecond)
		}
		body := fmt.Sprintf("%d/%d", publisher, i)
		o.mu.Lock()
		o.sent[body] = due
		o.mu.Unlock()
		for ctx.Err() == nil {
			if publish(topic, due, body) == nil {
				o.mu.Lock()
				o.answered[body] = true
				o.mu.Unlock()
				break
			}
		}
	}
}

func (o *ordeal) consume(ctx context.Context, channel string, c *consumer, r *rand.Rand) {
	defer c.sub.Close()
	for ctx.Err() == nil {
		d, ok := c.poll(20 * time.Millisecond)
		if !ok {
			continue
		}
		o.mu.Lock()
		o.delivered[channel][d.body]++
		if due, known := o.sent[d.body]; known && d.seen.UnixMilli() < due.UnixMilli() {
			o.early = append(o.early, d.body)
		}
		o.mu.Unlock()
		switch r.IntN(10) {
		case 0: // let it time out
		case 1:
			_ = c.sub.Requeue(d.id, time.Duration(r.IntN(20))*time.Millisecond)
		default:
			failed := false
			c.sub.Finish([]broker.MessageID{d.id}, func(int, error) { failed = true })
			if !failed {
				o.mu.Lock()
				o.finished[channel][d.body] = time.Now()
				o.mu.Unlock()
			}
		}
	}
}

// complete reports whether everything answered OK was finished in both channels.
func (o *ordeal) complete() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for body := range o.answered {
		for _, done := range o.finished {
			if _, ok := done[body]; !ok {
				return false
			}
		}
	}
	return true
}

func (o *ordeal) check() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ch, delivered := range o.delivered {
		for body := range o.answered {
			if _, ok := o.finished[ch][body]; !ok {
				o.t.Errorf("seed %d: channel %s: %s was answered OK and is not finished (%d deliveries)", o.seed, ch, body, delivered[body])
			}
		}
		for body := range delivered {
			if _, ok := o.sent[body]; !ok {
				o.t.Errorf("seed %d: channel %s: phantom %s", o.seed, ch, body)
			}
		}
	}
	if len(o.answered) != 3*ordealMessages {
		o.t.Errorf("seed %d: %d of %d answered OK", o.seed, len(o.answered), 3*ordealMessages)
	}
	for _, body := range o.early {
		o.t.Errorf("seed %d: %s was delivered early", o.seed, body)
	}
}
