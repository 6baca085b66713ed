package powerloss

import (
	"errors"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/history"
)

// consumer is a subscription that the story drives.
type consumer struct {
	sub *broker.Subscription
	got []delivery
}

type delivery struct {
	id       broker.MessageID
	body     []byte
	attempts uint16
}

// Wake implements broker.Client: the story pulls when it likes.
func (c *consumer) Wake() {}

// Gone implements broker.Client.
func (c *consumer) Gone(error) {}

// Stats implements broker.Client.
func (c *consumer) Stats() broker.ClientStats { return broker.ClientStats{} }

// Deliver implements broker.Sink.
func (c *consumer) Deliver(m *broker.Message) {
	c.got = append(c.got, delivery{m.ID, append([]byte(nil), m.Body...), m.Attempts})
}

func (s *story) subscriber(channel string) *consumer {
	if c := s.subs[channel]; c != nil {
		return c
	}
	c := &consumer{}
	sub, err := s.broker.Subscribe(s.t.Context(), topicName, channel, c, broker.SubscribeOptions{MsgTimeout: msgTimeout})
	if err != nil {
		if !s.disk.Stopped() {
			s.t.Fatalf("seed %d: subscribe: %v", s.seed, err)
		}
		return nil
	}
	c.sub = sub
	sub.SetReady(30)
	s.subs[channel] = c
	return c
}

// consume takes some messages and finishes, requeues or keeps each.
func (s *story) consume(channel string) {
	c := s.subscriber(channel)
	if c == nil {
		return
	}
	for _, d := range s.pull(channel, c, 1+s.rng.IntN(40)) {
		switch s.rng.IntN(10) {
		case 0: // keep it until it times out
		case 1:
			s.requeue(channel, c, d)
		default:
			s.finish(channel, c, d)
		}
	}
}

// pull takes messages and records them.
func (s *story) pull(channel string, c *consumer, n int) []received {
	c.got = c.got[:0]
	if _, err := c.sub.Pull(n, 1<<20, c); err != nil && !s.disk.Stopped() {
		s.t.Fatalf("seed %d: pull from %s: %v", s.seed, channel, err)
	}
	var list []received
	for _, d := range c.got {
		s.totals.Deliveries++
		if k, ok := s.rec.Delivered(channel, d.body, d.attempts); ok {
			list = append(list, received{k, d.id})
		}
	}
	return list
}

type received struct {
	key history.Key
	id  broker.MessageID
}

func (s *story) finish(channel string, c *consumer, d received) {
	s.totals.Finishes++
	s.rec.Finished(channel, d.key)
	c.sub.Finish([]broker.MessageID{d.id}, func(int, error) { s.rec.FinishFailed(channel, d.key) })
}

func (s *story) requeue(channel string, c *consumer, d received) {
	s.totals.Requeues++
	delay := time.Duration(s.rng.IntN(800)) * time.Millisecond
	s.rec.Requeued(channel, d.key, delay)
	if err := c.sub.Requeue(d.id, delay); err != nil {
		s.rec.RequeueFailed(channel, d.key)
	}
}

// leave closes a subscription: what it has in flight comes back.
func (s *story) leave(channel string) {
	if c := s.subs[channel]; c != nil {
		c.sub.Close()
		delete(s.subs, channel)
	}
}

// drain consumes a channel until nothing is left, deferred and timed-out messages included.
func (s *story) drain(channel string) {
	c := s.subscriber(channel)
	for idle := 0; idle < 3; {
		got := s.pull(channel, c, 100)
		for _, d := range got {
			s.finish(channel, c, d)
		}
		if len(got) == 0 {
			idle++
			time.Sleep(time.Second)
		} else {
			idle = 0
		}
		synctest.Wait()
	}
	stats := s.broker.Stats(topicName, channel, false)
	if len(stats) != 1 || len(stats[0].Channels) != 1 {
		s.t.Fatalf("seed %d: channel %s is gone: %v", s.seed, channel, errors.New("no stats"))
	}
	if ch := stats[0].Channels[0]; ch.Depth != 0 || ch.InFlight != 0 || ch.Deferred != 0 {
		s.t.Errorf("seed %d: channel %s is not empty after draining: %+v", s.seed, channel, ch)
	}
}
