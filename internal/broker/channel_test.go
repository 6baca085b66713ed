package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

var plain broker.SubscribeOptions

func TestEachChannelGetsEachMessageOnce(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.channel("t", "a")
	n.channel("t", "b")
	n.publish("t", numbered("m", 200)...)
	for _, ch := range []string{"a", "b"} {
		c := n.subscribe("t", ch, 10, plain)
		c.expect(numbered("m", 200)...)
		c.expectNothing()
		c.sub.Close()
	}
}

func TestFirstChannelGetsTheBacklogLaterOnesTheFuture(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.publish("t", "old1", "old2")
	first := n.subscribe("t", "first", 10, plain)
	second := n.subscribe("t", "second", 10, plain)
	n.publish("t", "new")
	first.expect("old1", "old2", "new")
	second.expect("new")
	second.expectNothing()
}

func TestReadyCountBoundsWhatIsInFlight(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 2, plain)
	n.publish("t", "1", "2", "3")
	first := c.next()
	c.next()
	c.expectNothing()
	c.finish(first.id)
	c.next()
	c.sub.SetReady(0)
	c.expectNothing()
}

func TestRequeueAndTimeoutCountAttempts(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 1, broker.SubscribeOptions{MsgTimeout: 20 * time.Millisecond})
	n.publish("t", "m")
	d := c.next()
	if err := c.sub.Requeue(d.id, 0); err != nil {
		t.Fatal(err)
	}
	if d = c.next(); d.attempts != 2 {
		t.Fatalf("attempts %d after a requeue, want 2", d.attempts)
	}
	again := c.next() // after its timeout
	if again.attempts != 3 || again.id != d.id {
		t.Fatalf("attempts %d after a timeout, want 3 and the same id", again.attempts)
	}
	c.finish(again.id)
	c.sub.Finish([]broker.MessageID{again.id}, func(_ int, err error) {
		if !errors.Is(err, broker.ErrNotInFlight) {
			t.Errorf("second finish: %v", err)
		}
	})
	s := n.Stats("t", "c", false)[0].Channels[0]
	if s.RequeueCount != 1 || s.TimeoutCount != 1 || s.Depth != 0 || s.InFlight != 0 {
		t.Fatalf("stats %+v", s)
	}
}

func TestDisconnectRequeuesAtOnce(t *testing.T) {
	n := newNode(t, hostile.Benign())
	gone, stays := n.subscribe("t", "c", 1, plain), n.subscribe("t", "c", 0, plain)
	n.publish("t", "m")
	gone.next()
	gone.sub.Close()
	stays.sub.SetReady(1)
	if d := stays.next(); d.attempts != 2 {
		t.Fatalf("attempts %d, want 2", d.attempts)
	}
}

func TestForeignFinishIsRefused(t *testing.T) {
	n := newNode(t, hostile.Benign())
	owner, other := n.subscribe("t", "c", 1, plain), n.subscribe("t", "c", 0, plain)
	n.publish("t", "m")
	d := owner.next()
	if err := other.sub.Touch(d.id); !errors.Is(err, broker.ErrNotOwner) {
		t.Fatalf("touch by another session: %v", err)
	}
	if err := owner.sub.Touch(broker.MessageID([]byte("not hexadecimal!"))); !errors.Is(err, broker.ErrNotInFlight) {
		t.Fatalf("touch of an id never given out: %v", err)
	}
}

func TestDeferredMessagesAreNeverEarlyAndSurviveARestart(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.channel("t", "c")
	due := time.Now().Add(300 * time.Millisecond)
	if err := publish(n.topic("t"), due, "later"); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "now")
	c := n.subscribe("t", "c", 10, plain)
	c.expect("now")
	if s := n.Stats("t", "c", false)[0].Channels[0]; s.Deferred != 1 {
		t.Fatalf("deferred %d, want 1", s.Deferred)
	}
	c.sub.Close()
	n.restart()
	c = n.subscribe("t", "c", 10, plain)
	d := c.next()
	if d.body != "later" || d.seen.Before(due.Truncate(time.Millisecond)) {
		t.Fatalf("got %q %v before it was due", d.body, due.Sub(d.seen))
	}
}

func TestBacklogOfDeferredMessagesReachesTheFirstChannel(t *testing.T) {
	n := newNode(t, hostile.Benign())
	due := time.Now().Add(100 * time.Millisecond)
	if err := publish(n.topic("t"), due, "later"); err != nil {
		t.Fatal(err)
	}
	c := n.subscribe("t", "c", 1, plain)
	if d := c.next(); time.Now().Before(due.Truncate(time.Millisecond)) {
		t.Fatalf("got %q early", d.body)
	}
}

func TestPausedTopicKeepsItsMessages(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 10, plain)
	if err := n.topic("t").SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "1", "2")
	if err := publish(n.topic("t"), time.Now().Add(10*time.Millisecond), "deferred"); err != nil {
		t.Fatal(err)
	}
	c.expectNothing()
	if s := n.Stats("t", "", false)[0]; !s.Paused || s.Depth != 3 {
		t.Fatalf("paused %v, depth %d, want true and 3", s.Paused, s.Depth)
	}
	c.sub.Close()
	n.restart()
	c = n.subscribe("t", "c", 10, plain)
	c.expectNothing()
	if err := n.topic("t").SetPaused(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	c.expect("1", "2", "deferred")
}

func TestPausedChannelDeliversNothing(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 10, plain)
	ch := n.channel("t", "c")
	if err := ch.SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "m")
	c.expectNothing()
	if err := ch.SetPaused(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	c.expect("m")
}

func TestEmptyDropsWaitingInFlightAndDeferred(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "in flight", "waiting")
	if err := publish(n.topic("t"), time.Now().Add(50*time.Millisecond), "deferred"); err != nil {
		t.Fatal(err)
	}
	d := c.next()
	if err := n.channel("t", "c").Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.sub.Requeue(d.id, 0); !errors.Is(err, broker.ErrNotInFlight) {
		t.Fatalf("requeue after empty: %v", err)
	}
	time.Sleep(60 * time.Millisecond)
	c.expectNothing()
	n.publish("t", "after")
	c.expect("after")
}

func TestEmptyTopicDropsTheBacklog(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.publish("t", "1", "2")
	if err := n.topic("t").Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "3")
	c.expect("3")
}

func TestEmptyOfAPausedTopicKeepsWhatItsChannelsHave(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "in flight", "waiting")
	d := c.next()
	if err := n.topic("t").SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "dropped", "dropped too")
	if err := n.topic("t").Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "after")
	if err := n.topic("t").SetPaused(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	c.finish(d.id)
	c.expect("waiting", "after")
}

func TestDeletedChannelStartsAnewUnderTheSameName(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.channel("t", "other")
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "1", "2")
	c.next()
	if err := n.topic("t").DeleteChannel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if c.gone == nil {
		t.Fatal("the consumer was not told")
	}
	c.sub.Close()
	again := n.subscribe("t", "c", 10, plain)
	again.expectNothing()
	n.publish("t", "3")
	again.expect("3")
	if err := n.topic("t").DeleteChannel(t.Context(), "missing"); !errors.Is(err, broker.ErrChannelNotFound) {
		t.Fatalf("delete of a missing channel: %v", err)
	}
}

func TestDeletedTopicIsGoneAndStartsAnew(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "1")
	old := c.next().id
	if err := n.DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if c.gone == nil {
		t.Fatal("the consumer was not told")
	}
	c.sub.Close()
	n.restart()
	if _, ok := n.Topic("t"); ok {
		t.Fatal("the topic is back after a restart")
	}
	c = n.subscribe("t", "c", 1, plain)
	n.publish("t", "1")
	if c.next().id == old {
		t.Fatal("the new topic gave out an id of the old one")
	}
}

func TestCleanRestartDeliversNothingFinishedAgain(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 100, plain)
	n.publish("t", numbered("m", 100)...)
	c.expect(numbered("m", 100)...)
	n.publish("t", "requeued")
	d := c.next()
	if err := c.sub.Requeue(d.id, 0); err != nil {
		t.Fatal(err)
	}
	c.sub.SetReady(0)
	c.sub.Close()
	n.restart()
	c = n.subscribe("t", "c", 100, plain)
	if d := c.next(); d.body != "requeued" || d.attempts < 2 {
		t.Fatalf("got %q with %d attempts, want the requeued one with 2", d.body, d.attempts)
	}
	c.expectNothing()
}

func TestFinishedSegmentsAreDeleted(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 2 << 10
	n := newNodeWith(t, o, func(o *broker.Options) {
		o.Retain = -1
	})
	c := n.subscribe("t", "c", 100, plain)
	for range 20 {
		n.publish("t", numbered("some longer body to fill segments ", 20)...)
		c.expect(numbered("some longer body to fill segments ", 20)...)
	}
	deadline := time.Now().Add(5 * time.Second)
	for n.LogSegments("t") > 3 {
		if time.Now().After(deadline) {
			t.Fatalf("%d segments are left", n.LogSegments("t"))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestUnfinishedMessageIsCarriedOutOfOldSegments(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 2 << 10
	n := newNodeWith(t, o, func(o *broker.Options) {
		o.Retain = -1
	})
	n.channel("t", "c")
	due := time.Now().Add(1500 * time.Millisecond)
	if err := publish(n.topic("t"), due, "carried"); err != nil {
		t.Fatal(err)
	}
	c := n.subscribe("t", "c", 100, plain)
	n.publish("t", "requeued")
	requeued := c.next()
	if err := c.sub.Requeue(requeued.id, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		n.publish("t", numbered("some longer body to fill segments ", 20)...)
		c.expect(numbered("some longer body to fill segments ", 20)...)
	}
	time.Sleep(200 * time.Millisecond)
	if got := n.LogSegments("t"); got > 4 {
		t.Errorf("%d segments are held by two messages", got)
	}
	c.sub.Close()
	n.restart()
	c = n.subscribe("t", "c", 100, plain)
	for range 2 {
		switch d := c.next(); d.body {
		case "carried":
			if d.attempts != 1 {
				t.Errorf("attempts %d of the deferred message, want 1", d.attempts)
			}
		case "requeued":
			if d.attempts != 2 || d.id != requeued.id || d.time != requeued.time {
				t.Errorf("got %+v, want the message first delivered as %+v", d, requeued)
			}
		default:
			t.Errorf("got %q", d.body)
		}
	}
}

// slowSink holds up a Pull after its first message.
type slowSink struct {
	firstC, goC chan struct{}
	n           int
}

func (s *slowSink) Deliver(*broker.Message) {
	if s.n++; s.n == 1 {
		s.firstC <- struct{}{}
		<-s.goC
	}
}

func TestPullGoesOnWhenWhatItHoldsWasEmptiedAndDeleted(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 1 << 10
	n := newNodeWith(t, o, func(o *broker.Options) {
		o.Retain = -1
	})
	c := n.subscribe("t", "c", 60, plain)
	for range 6 {
		n.publish("t", numbered("a body that fills segments soon ", 10)...)
	}
	sink := &slowSink{firstC: make(chan struct{}), goC: make(chan struct{})}
	var err error
	pulled := make(chan struct{})
	go func() {
		defer close(pulled)
		_, err = c.sub.Pull(60, 1<<20, sink)
	}()
	<-sink.firstC
	if err := n.channel("t", "c").Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n.LogSegments("t") > 1 {
		time.Sleep(5 * time.Millisecond)
	}
	close(sink.goC)
	<-pulled
	if err != nil {
		t.Errorf("pull: %v", err)
	}
	if err := n.Healthy(); err != nil {
		t.Errorf("the node is not healthy: %v", err)
	}
}

func TestEmptyWakesASessionWhoseWindowWasFull(t *testing.T) {
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "in flight")
	c.next()
	c.expectNothing() // it waits with a full window
	n.publish("t", "dropped")
	if err := n.channel("t", "c").Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(c.wakeC) > 0 {
		<-c.wakeC
	}
	n.publish("t", "after")
	select {
	case <-c.wakeC:
	case <-time.After(5 * time.Second):
		t.Fatal("nobody was woken for the message after the empty")
	}
	c.expect("after")
}

func TestEmptyOfAPausedTopicDropsWhatItsChannelsHaveNotRead(t *testing.T) {
	n := newNode(t, hostile.Benign())
	durable := n.subscribe("t", "c", 10, plain)
	tail := n.subscribe("t", "tail#ephemeral", 10, plain)
	n.publish("t", "before")
	durable.expect("before")
	tail.expect("before")
	topic := n.topic("t")
	if err := topic.SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	n.publish("t", "dropped")
	if err := publish(topic, time.Now().Add(20*time.Millisecond), "dropped, deferred"); err != nil {
		t.Fatal(err)
	}
	if err := topic.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	durable.expectNothing()
	tail.expectNothing()
	n.publish("t", "after")
	if err := topic.SetPaused(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*consumer{durable, tail} {
		c.expect("after")
		c.expectNothing()
		c.sub.Close()
	}
	n.restart()
	n.subscribe("t", "c", 10, plain).expectNothing()
}

func TestConsumersOfAChannelAreBounded(t *testing.T) {
	n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) { o.MaxChannelConsumers = 1 })
	first := n.subscribe("t", "c", 1, plain)
	_, err := n.Subscribe(context.Background(), "t", "c", first, plain)
	if err == nil || err.Error() != "consumers for t:c exceeds limit of 1" {
		t.Errorf("a second consumer: %v", err)
	}
	n.subscribe("t", "another", 1, plain)
}
