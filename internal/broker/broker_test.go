package broker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// node is a broker over logs that a test can restart.
type node struct {
	t    *testing.T
	logs *hostile.Logs
	*broker.Broker
	options broker.Options
}

func newNode(t *testing.T, o hostile.Options) *node {
	return newNodeWith(t, o, func(*broker.Options) {})
}

// newNodeWith returns a node whose broker has options of its own.
func newNodeWith(t *testing.T, o hostile.Options, change func(*broker.Options)) *node {
	n := &node{t: t, logs: hostile.New(o)}
	n.options = broker.Options{FlushInterval: 5 * time.Millisecond, KeepInterval: 20 * time.Millisecond}
	change(&n.options)
	n.open()
	t.Cleanup(func() { n.stop() })
	return n
}

func (n *node) open() {
	n.t.Helper()
	b, err := broker.Open(n.logs, n.options)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Broker = b
}

// stop closes cleanly.
func (n *node) stop() {
	if n.Broker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Broker.Close(ctx); err != nil {
		n.t.Errorf("close: %v", err)
	}
	n.Broker = nil
}

func (n *node) restart() {
	n.t.Helper()
	n.stop()
	n.open()
}

func (n *node) topic(name string) *broker.Topic {
	n.t.Helper()
	t, err := n.CreateTopic(n.t.Context(), name)
	if err != nil {
		n.t.Fatal(err)
	}
	return t
}

func (n *node) channel(topic, name string) *broker.Channel {
	n.t.Helper()
	ch, err := n.topic(topic).CreateChannel(n.t.Context(), name)
	if err != nil {
		n.t.Fatal(err)
	}
	return ch
}

// outcome receives the answer to one proposal.
type outcome chan error

func (o outcome) Proposed(p *broker.Proposal) { o <- p.Err }

// publish submits bodies as one batch and waits for the answer. A due time other than zero defers them.
func publish(t *broker.Topic, due time.Time, bodies ...string) error {
	var b record.Builder
	size := 0
	for _, body := range bodies {
		ms := int64(0)
		if !due.IsZero() {
			ms = due.UnixMilli()
		}
		b.Append([]byte(body), ms)
		size += len(body)
	}
	flags := b.Flags()
	done := make(outcome, 1)
	t.Publish(&broker.Proposal{Flags: flags, Payload: b.Finish(time.Now().UnixMilli()), Messages: len(bodies), BodyBytes: size, Owner: done})
	return <-done
}

func (n *node) publish(topic string, bodies ...string) {
	n.t.Helper()
	if err := publish(n.topic(topic), time.Time{}, bodies...); err != nil {
		n.t.Fatal(err)
	}
}

// consumer is a subscription that a test drives by hand.
type consumer struct {
	t     *testing.T
	sub   *broker.Subscription
	wakeC chan struct{}

	mu   sync.Mutex
	gone error
	got  []delivery // not yet returned by next
}

type delivery struct {
	id       broker.MessageID
	body     string
	attempts uint16
	time     int64
	seen     time.Time
}

func (c *consumer) Wake() {
	select {
	case c.wakeC <- struct{}{}:
	default:
	}
}

func (c *consumer) Gone(err error) {
	c.mu.Lock()
	c.gone = err
	c.mu.Unlock()
	c.Wake()
}

func (c *consumer) Stats() broker.ClientStats { return broker.ClientStats{} }

func (c *consumer) Deliver(m *broker.Message) {
	c.got = append(c.got, delivery{m.ID, string(m.Body), m.Attempts, m.Time, time.Now()})
}

func (n *node) subscribe(topic, channel string, ready int, o broker.SubscribeOptions) *consumer {
	n.t.Helper()
	if o.MsgTimeout == 0 {
		o.MsgTimeout = time.Minute
	}
	c := &consumer{t: n.t, wakeC: make(chan struct{}, 1)}
	var err error
	if c.sub, err = n.Subscribe(n.t.Context(), topic, channel, c, o); err != nil {
		n.t.Fatal(err)
	}
	c.sub.SetReady(ready)
	return c
}

// poll returns one more delivery, waiting at most that long.
func (c *consumer) poll(wait time.Duration) (delivery, bool) {
	c.t.Helper()
	deadline := time.After(wait)
	for len(c.got) == 0 {
		n, err := c.sub.Pull(1, 1<<20, c)
		if err != nil {
			c.t.Fatal(err)
		}
		if n > 0 {
			break
		}
		select {
		case <-c.wakeC:
		case <-deadline:
			return delivery{}, false
		}
	}
	d := c.got[0]
	c.got = c.got[1:]
	return d, true
}

// next returns one more delivery, which must come soon.
func (c *consumer) next() delivery {
	c.t.Helper()
	d, ok := c.poll(5 * time.Second)
	if !ok {
		c.t.Fatal("no message within 5s")
	}
	return d
}

// expect takes the next messages, in any order, and finishes them.
func (c *consumer) expect(bodies ...string) {
	c.t.Helper()
	var got []string
	for range bodies {
		d := c.next()
		got = append(got, d.body)
		c.finish(d.id)
	}
	slices.Sort(got)
	slices.Sort(bodies)
	if !slices.Equal(got, bodies) {
		c.t.Fatalf("got %q, want %q", got, bodies)
	}
}

func (c *consumer) expectNothing() {
	c.t.Helper()
	if d, ok := c.poll(30 * time.Millisecond); ok {
		c.t.Fatalf("got %q, want nothing", d.body)
	}
}

func (c *consumer) finish(id broker.MessageID) {
	c.t.Helper()
	c.sub.Finish([]broker.MessageID{id}, func(_ int, err error) { c.t.Errorf("finish: %v", err) })
}

func numbered(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return list
}
