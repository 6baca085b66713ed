package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// slowNode commits after up to 20 ms, so that callers can lose patience before.
func slowNode(t *testing.T) *node {
	o := hostile.Benign()
	o.MaxDelay = 20 * time.Millisecond
	return newNode(t, o)
}

// impatient is the context of a caller that is gone already.
func impatient(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestTopicWhoseCreationWasAbandonedKeepsItsMessages(t *testing.T) {
	n := slowNode(t)
	abandoned := 0
	for _, name := range numbered("t", 8) {
		if _, err := n.CreateTopic(impatient(t), name); errors.Is(err, broker.ErrUnknown) {
			abandoned++
		}
		n.publish(name, "kept")
	}
	if abandoned == 0 {
		t.Fatal("no creation was abandoned")
	}
	n.restart()
	for _, name := range numbered("t", 8) {
		n.subscribe(name, "c", 1, plain).expect("kept")
	}
}

func TestTopicWhoseDeletionWasAbandonedLosesNothingLater(t *testing.T) {
	n := slowNode(t)
	for _, name := range numbered("t", 8) {
		n.publish(name, "deleted")
		if err := n.DeleteTopic(impatient(t), name); err != nil {
			t.Logf("delete %s: %v", name, err)
		}
		n.publish(name, "kept")
	}
	n.restart()
	for _, name := range numbered("t", 8) {
		n.subscribe(name, "c", 2, plain).expect("kept")
	}
}

// enter subscribes, within 5 s.
func (n *node) enter(topic, channel string) *consumer {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
	defer cancel()
	c := &consumer{t: n.t, wakeC: make(chan struct{}, 1)}
	var err error
	if c.sub, err = n.Subscribe(ctx, topic, channel, c, broker.SubscribeOptions{MsgTimeout: time.Minute}); err != nil {
		n.t.Fatalf("subscribe to %s of %s: %v", channel, topic, err)
	}
	c.sub.SetReady(1)
	return c
}

func (c *consumer) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone != nil
}

func TestSubscriptionBesideADeletionIsToldOrGetsTheNewTopic(t *testing.T) {
	n := slowNode(t)
	for _, name := range numbered("t", 30) {
		n.channel(name, "other")
		deleted := make(chan error, 1)
		go func() { deleted <- n.DeleteTopic(t.Context(), name) }()
		c := n.enter(name, "c")
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
		if !c.isGone() {
			n.publish(name, "m")
			c.expect("m")
		}
		c.sub.Close()
	}
}

func TestDeletedEphemeralChannelCanBeEnteredAnewAtOnce(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.channel("t", "durable")
	old := n.enter("t", "tail#ephemeral")
	if err := n.topic("t").DeleteChannel(t.Context(), "tail#ephemeral"); err != nil {
		t.Fatal(err)
	}
	if !old.isGone() {
		t.Error("the consumer was not told")
	}
	c := n.enter("t", "tail#ephemeral")
	old.sub.Close()
	n.publish("t", "m")
	c.expect("m")
}

func TestEphemeralTopicCanBeEnteredWhileItsLastClientLeaves(t *testing.T) {
	n := newNode(t, hostile.Benign())
	last := n.enter("e#ephemeral", "c#ephemeral")
	for range 2000 {
		left := make(chan struct{})
		go func() {
			defer close(left)
			last.sub.Close()
		}()
		c := n.enter("e#ephemeral", "c#ephemeral")
		<-left
		if c.isGone() {
			t.Fatal("a consumer that had just come was sent away")
		}
		last = c
	}
	last.sub.Close()
}

func TestDeferredMessagesAreBounded(t *testing.T) {
	n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) {
		o.MaxUnfinished = 10
	})
	later := time.Now().Add(time.Hour)
	if err := publish(n.topic("backlog"), later, numbered("m", 10)...); err != nil {
		t.Fatal(err)
	}
	n.channel("channel", "c")
	if err := publish(n.topic("channel"), later, numbered("m", 10)...); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"backlog", "channel"} {
		if err := publish(n.topic(topic), later, "one more"); !errors.Is(err, broker.ErrTooManyDeferred) {
			t.Errorf("%s: one more deferred message: %v, want ErrTooManyDeferred", topic, err)
		}
		n.publish(topic, "at once") // is taken as ever
	}
}

func TestCatalogStaysSmallWhileTopicsComeAndGo(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 1 << 10
	n := newNode(t, o)
	n.topic("stays")
	for range 1200 {
		n.topic("passing")
		if err := n.DeleteTopic(t.Context(), "passing"); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for n.CatalogSegments() > 100 { // without checkpoints it had 172
		if time.Now().After(deadline) {
			t.Fatalf("the catalog has %d segments", n.CatalogSegments())
		}
		time.Sleep(5 * time.Millisecond)
	}
	n.restart()
	if len(n.Topics()) != 1 {
		t.Fatalf("%d topics after a restart, want the one that stayed", len(n.Topics()))
	}
}
