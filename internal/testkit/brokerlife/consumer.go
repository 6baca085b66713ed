package brokerlife

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/history"
)

// MsgTimeout is how long a message that is kept stays in flight.
const MsgTimeout = 500 * time.Millisecond

// Verdict is what a consumer does with a message.
type Verdict int

// The verdicts.
const (
	Finish Verdict = iota
	Requeue
	Keep // until it times out
)

// consumer is a subscription that is pulled when the story likes.
type consumer struct {
	sub *broker.Subscription
	got []delivery
}

type delivery struct {
	id       broker.MessageID
	body     []byte
	attempts uint16
}

// Wake implements broker.Client.
func (c *consumer) Wake() {}

// Gone implements broker.Client.
func (c *consumer) Gone(error) {}

// Stats implements broker.Client.
func (c *consumer) Stats() broker.ClientStats { return broker.ClientStats{} }

// Deliver implements broker.Sink.
func (c *consumer) Deliver(m *broker.Message) {
	c.got = append(c.got, delivery{m.ID, append([]byte(nil), m.Body...), m.Attempts})
}

func (l *Life) subscriber(channel string) (*consumer, error) {
	if c := l.subs[channel]; c != nil {
		return c, nil
	}
	c := &consumer{}
	err := Change(func(ctx context.Context) (err error) {
		c.sub, err = l.Broker.Subscribe(ctx, Topic, channel, c, broker.SubscribeOptions{MsgTimeout: MsgTimeout})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", channel, err)
	}
	c.sub.SetReady(100)
	l.subs[channel] = c
	return c, nil
}

// Leave closes the subscription to a channel of Topic: what it has in flight comes back.
func (l *Life) Leave(channel string) {
	if c := l.subs[channel]; c != nil {
		c.sub.Close()
		delete(l.subs, channel)
	}
}

// Consume takes at most n messages of a channel of Topic, does with the i-th what verdict says, and returns how many there were.
func (l *Life) Consume(channel string, n int, verdict func(i int) Verdict) (int, error) {
	c, err := l.subscriber(channel)
	if err != nil {
		return 0, err
	}
	c.got = c.got[:0]
	_, err = c.sub.Pull(n, 1<<20, c)
	rec := l.story.Rec
	for i, d := range c.got {
		l.story.Deliveries++
		k, ok := rec.Delivered(channel, d.body, d.attempts)
		if !ok {
			continue
		}
		switch verdict(i) {
		case Finish:
			rec.Finished(channel, k)
			c.sub.Finish([]broker.MessageID{d.id}, func(int, error) { rec.FinishFailed(channel, k) })
		case Requeue:
			l.requeue(channel, c, k, d.id)
		}
	}
	if err != nil {
		err = fmt.Errorf("pull from %s: %w", channel, err)
	}
	return len(c.got), err
}

func (l *Life) requeue(channel string, c *consumer, k history.Key, id broker.MessageID) {
	delay := time.Duration(k.Seq%400) * time.Millisecond
	l.story.Rec.Requeued(channel, k, delay)
	if err := c.sub.Requeue(id, delay); err != nil {
		l.story.Rec.RequeueFailed(channel, k)
	}
}

// FinishAll is the verdict of who finishes everything.
func FinishAll(int) Verdict { return Finish }

// drainTurns is far more than any story has messages.
const drainTurns = 10_000

// Drain finishes everything in a channel of Topic until nothing more comes, deferred and timed-out messages included.
func (l *Life) Drain(channel string) error {
	turns := 0
	for idle := 0; idle < 3; turns++ {
		if turns == drainTurns {
			return fmt.Errorf("channel %s has no end", channel)
		}
		n, err := l.Consume(channel, 100, FinishAll)
		if err != nil {
			return err
		}
		if idle++; n > 0 {
			idle = 0
		} else {
			time.Sleep(time.Second)
		}
		synctest.Wait()
	}
	stats := l.Broker.Stats(Topic, channel, false)
	if len(stats) != 1 || len(stats[0].Channels) != 1 {
		return fmt.Errorf("channel %s is gone", channel)
	}
	if ch := stats[0].Channels[0]; ch.Depth != 0 || ch.InFlight != 0 || ch.Deferred != 0 {
		return fmt.Errorf("channel %s is not empty after draining: %+v", channel, ch)
	}
	return nil
}
