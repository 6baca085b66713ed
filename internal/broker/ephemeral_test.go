package broker_test

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestEphemeralChannelGoesWithItsLastClient(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.channel("t", "durable")
	c := n.subscribe("t", "tail#ephemeral", 10, plain)
	n.publish("t", "m")
	c.expect("m")
	c.sub.Close()
	if _, ok := n.topic("t").Channel("tail#ephemeral"); ok {
		t.Fatal("the channel is still there")
	}
}

func TestEphemeralChannelIsNotAFirstChannel(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "tail#ephemeral", 10, plain)
	n.publish("t", "m")
	c.expect("m")
	n.subscribe("t", "durable", 10, plain).expect("m")
}

func TestEphemeralChannelDropsTheOldestBeyondItsBound(t *testing.T) {
	n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) {
		o.EphemeralMessages = 10
	})
	n.channel("t", "durable")
	c := n.subscribe("t", "tail#ephemeral", 0, plain)
	n.publish("t", numbered("m", 25)...)
	c.sub.SetReady(100)
	c.expect(numbered("m", 25)[15:]...)
	c.expectNothing()
	if s := n.Stats("t", "tail#ephemeral", false)[0].Channels[0]; s.DroppedCount != 15 {
		t.Fatalf("dropped %d, want 15", s.DroppedCount)
	}
}

func TestEphemeralTopicLivesInMemoryAndGoesWithItsLastChannel(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.publish("e#ephemeral", "backlog")
	c := n.subscribe("e#ephemeral", "c#ephemeral", 10, plain)
	c.expect("backlog")
	n.publish("e#ephemeral", "m")
	d := c.next()
	if err := c.sub.Requeue(d.id, 0); err != nil {
		t.Fatal(err)
	}
	c.expect("m")
	c.sub.Close()
	if _, ok := n.Topic("e#ephemeral"); ok {
		t.Fatal("the topic is still there")
	}
}

func TestEphemeralTopicKeepsOnlyTheNewest(t *testing.T) {
	n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) {
		o.EphemeralMessages = 100
	})
	topic := n.topic("e#ephemeral")
	for i := range 50 {
		n.publish("e#ephemeral", numbered("batch", 10)...)
		_ = i
	}
	c := n.subscribe(topic.Name(), "c", 1000, broker.SubscribeOptions{})
	got := 0
	for {
		d, ok := c.poll(30e6)
		if !ok {
			break
		}
		c.finish(d.id)
		got++
	}
	if got < 100 || got > 110 {
		t.Fatalf("got %d messages, want the newest 100 (whole batches)", got)
	}
}

func TestEphemeralChannelSkipsWhatRetentionDeleted(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 1 << 10
	n := newNodeWith(t, o, func(o *broker.Options) {
		o.Retain = -1
	})
	durable := n.subscribe("t", "durable", 100, plain)
	tail := n.subscribe("t", "tail#ephemeral", 3, plain)
	n.publish("t", numbered("first", 3)...)
	held := []delivery{tail.next(), tail.next(), tail.next()}
	durable.expect(numbered("first", 3)...)
	for range 20 {
		n.publish("t", numbered("a body that fills segments soon ", 10)...)
		durable.expect(numbered("a body that fills segments soon ", 10)...)
	}
	for n.LogSegments("t") > 3 {
		time.Sleep(5 * time.Millisecond)
	}
	for _, d := range held { // their log is gone: they are dropped instead of delivered again
		if err := tail.sub.Requeue(d.id, 0); err != nil {
			t.Fatal(err)
		}
	}
	n.publish("t", "last")
	for body := ""; body != "last"; {
		d := tail.next()
		tail.finish(d.id)
		body = d.body
	}
}

func TestDeferredBacklogOfAnEphemeralTopicIsNotEarly(t *testing.T) {
	n := newNode(t, hostile.Benign())
	due := time.Now().Add(200 * time.Millisecond)
	if err := publish(n.topic("e#ephemeral"), due, "later"); err != nil {
		t.Fatal(err)
	}
	c := n.subscribe("e#ephemeral", "c#ephemeral", 1, plain)
	if d := c.next(); d.seen.Before(due.Truncate(time.Millisecond)) {
		t.Fatalf("got %q %v before it was due", d.body, due.Sub(d.seen))
	}
}
