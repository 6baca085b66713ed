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

// clusterOrdeal is a run of three nodes whose logs are hostile and whose connections lose things. Each body is published once: what
// is delivered under two ids was appended twice by a retry inside the cluster.
type clusterOrdeal struct {
	t     *testing.T
	seed  uint64
	nodes []*clusterNode
	// crashes lets the last node, which has no clients then, crash now and then.
	crashes bool

	mu       sync.Mutex
	sent     map[string]bool
	answered map[string]bool
	ids      map[string]broker.MessageID
	finished map[string]time.Time // when the finish was certainly recorded, if it was
	faults   []string
}

const (
	clusterMessages = 200
	// recorded is how long after a FIN a message may come again: the interval of recording, and a few changes of leaders.
	recorded = 2 * time.Second
)

func TestNothingAnsweredIsLostOrDoubledInAHostileCluster(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			o := hostile.Hostile(seed)
			o.Snapshot = 0.02
			c := hostile.ClusterOptions{Seed: seed, MaxDelay: 2 * time.Millisecond, LoseRequest: 0.05, LoseAnswer: 0.05}
			r := &clusterOrdeal{t: t, seed: seed, crashes: seed%2 == 1, sent: map[string]bool{}, answered: map[string]bool{},
				ids: map[string]broker.MessageID{}, finished: map[string]time.Time{}}
			r.nodes = newCluster(t, 3, o, c)
			r.run()
		})
	}
}

func (o *clusterOrdeal) run() {
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	o.until(ctx, "the topic is made", func() bool { _, err := o.nodes[0].CreateTopic(ctx, "t"); return err == nil })
	done, stop := context.WithCancel(ctx)
	var publishers, consumers sync.WaitGroup
	alive := o.nodes
	if o.crashes {
		alive = o.nodes[:2]
	}
	for i, n := range alive {
		o.until(ctx, "the topic is known", func() bool { _, ok := n.Topic("t"); return ok })
		c := &consumer{t: o.t, wakeC: make(chan struct{}, 1)}
		o.until(ctx, "a consumer is in", func() (ok bool) {
			var err error
			c.sub, err = n.Subscribe(ctx, "t", "c", c, broker.SubscribeOptions{MsgTimeout: 50 * time.Millisecond})
			return err == nil
		})
		c.sub.SetReady(1 + 3*i)
		consumers.Go(func() { o.consume(done, c, rand.New(rand.NewPCG(o.seed, uint64(i)))) })
	}
	for i, n := range alive {
		topic, _ := n.Topic("t")
		publishers.Go(func() { o.publish(ctx, topic, i) })
	}
	publishedC := make(chan struct{})
	var crashes sync.WaitGroup
	if o.crashes {
		crashes.Go(func() { o.crash(publishedC) })
	}
	publishers.Wait()
	close(publishedC)
	crashes.Wait()
	o.until(ctx, "all is finished", o.complete)
	stop()
	consumers.Wait()
	o.check()
}

func (o *clusterOrdeal) until(ctx context.Context, what string, cond func() bool) {
	o.t.Helper()
	for !cond() {
		if ctx.Err() != nil {
			o.t.Errorf("seed %d: not in time: %s", o.seed, what)
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// crash kills the last node and starts it again, as long as others publish. In the end another node leads what it led, since it
// has no consumers.
func (o *clusterOrdeal) crash(publishedC <-chan struct{}) {
	last := o.nodes[2]
	for published := false; !published; {
		select {
		case <-publishedC:
			published = true
		case <-time.After(100 * time.Millisecond):
		}
		last.crash()
		last.start()
	}
	last.halt()
}

func (o *clusterOrdeal) publish(ctx context.Context, topic *broker.Topic, publisher int) {
	for i := 0; i < clusterMessages && ctx.Err() == nil; i++ {
		body := fmt.Sprintf("%d/%d", publisher, i)
		o.mu.Lock()
		o.sent[body] = true
		o.mu.Unlock()
		if publish(topic, time.Time{}, body) == nil {
			o.mu.Lock()
			o.answered[body] = true
			o.mu.Unlock()
		}
	}
}

func (o *clusterOrdeal) consume(ctx context.Context, c *consumer, r *rand.Rand) {
	defer c.sub.Close()
	for ctx.Err() == nil {
		d, ok := c.poll(20 * time.Millisecond)
		if !ok {
			continue
		}
		o.note(d)
		switch r.IntN(10) {
		case 0: // let it time out
		case 1:
			_ = c.sub.Requeue(d.id, time.Duration(r.IntN(20))*time.Millisecond)
		default:
			failed := false
			c.sub.Finish([]broker.MessageID{d.id}, func(int, error) { failed = true })
			if !failed {
				o.mu.Lock()
				o.finished[d.body] = time.Now()
				o.mu.Unlock()
			}
		}
	}
}

// note looks at a delivery for what must not be.
func (o *clusterOrdeal) note(d delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.sent[d.body] {
		o.faults = append(o.faults, "phantom "+d.body)
	}
	if id, ok := o.ids[d.body]; ok && id != d.id {
		o.faults = append(o.faults, fmt.Sprintf("%s is in the logs twice, as %s and %s", d.body, id, d.id))
	}
	o.ids[d.body] = d.id
	if at, ok := o.finished[d.body]; ok && d.seen.Sub(at) > recorded {
		o.faults = append(o.faults, fmt.Sprintf("%s came again %v after it was finished", d.body, d.seen.Sub(at)))
	}
}

func (o *clusterOrdeal) complete() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for body := range o.answered {
		if _, ok := o.finished[body]; !ok {
			return false
		}
	}
	return true
}

func (o *clusterOrdeal) check() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for body := range o.answered {
		if _, ok := o.finished[body]; !ok {
			o.t.Errorf("seed %d: %s was answered OK and is not finished", o.seed, body)
		}
	}
	for _, fault := range o.faults {
		o.t.Errorf("seed %d: %s", o.seed, fault)
	}
	if len(o.answered) < clusterMessages {
		o.t.Errorf("seed %d: only %d of %d answered OK", o.seed, len(o.answered), 3*clusterMessages)
	}
	o.t.Logf("seed %d: %d of %d answered OK", o.seed, len(o.answered), 3*clusterMessages)
}
