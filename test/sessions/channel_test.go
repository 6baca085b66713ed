package sessions

import (
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/history"
)

// channel is the model of a channel: what its consumers know of its messages. The story's mutex guards it.
type channel struct {
	topic    *topic
	name     string
	messages map[broker.MessageID]*message
	ids      []broker.MessageID // in the order of their first delivery
}

// message is one message in a channel.
type message struct {
	key      history.Key
	attempts uint16
	holder   *client   // where it is in flight
	deadline time.Time // when that ends
	notUntil time.Time // a REQ asked for that
	finished bool
}

func newChannel(t *topic, name string) *channel {
	return &channel{topic: t, name: name, messages: make(map[broker.MessageID]*message)}
}

// delivered judges a delivery to c and makes it the holder.
func (ch *channel) delivered(c *client, key history.Key, id broker.MessageID, attempts uint16) {
	s, now := c.story, time.Now()
	m := ch.messages[id]
	if m == nil {
		m = &message{key: key}
		ch.messages[id] = m
		ch.ids = append(ch.ids, id)
	}
	switch {
	case m.key != key:
		s.fault("message id %s is of %v and of %v", id[:], m.key, key)
	case m.finished:
		s.fault("%s/%s: %v is delivered after its FIN", ch.topic.name, ch.name, key)
	case m.holder != nil && !m.holder.ended && !m.holder.doomed && !m.holder.left && now.Before(m.deadline):
		s.fault("%s/%s: %v is delivered while it is in flight, %v before its timeout", ch.topic.name, ch.name, key, m.deadline.Sub(now))
	case now.Before(m.notUntil.Add(-time.Millisecond)):
		s.fault("%s/%s: %v is delivered %v before its REQ asked for", ch.topic.name, ch.name, key, m.notUntil.Sub(now))
	case attempts <= m.attempts:
		s.fault("%s/%s: %v has attempts %d after %d", ch.topic.name, ch.name, key, attempts, m.attempts)
	}
	if m.holder != nil && m.holder == c {
		s.totals.TimedOut++
	}
	m.attempts, m.holder, m.deadline, m.notUntil = attempts, c, now.Add(c.timeout), time.Time{}
	if n := ch.inFlight(c); n > c.mostReady {
		s.fault("%s/%s: %d in flight with RDY %d", ch.topic.name, ch.name, n, c.mostReady)
	}
}

// inFlight counts what is certainly in flight to c.
func (ch *channel) inFlight(c *client) (n int) {
	now := time.Now()
	for _, m := range ch.messages {
		if m.holder == c && now.Before(m.deadline) {
			n++
		}
	}
	return n
}

// release ends what was in flight to a client that is gone.
func (ch *channel) release(c *client) {
	for _, m := range ch.messages {
		if m.holder == c {
			m.holder = nil
		}
	}
}

// fate is what a command about a message must come to.
type fate int

const (
	unsure fate = iota // it depends on the order of goroutines or on a timeout about now: not to be tried
	succeeds
	fails
)

// fateFor says what becomes of FIN, REQ or TOUCH of the message by c, now.
func (m *message) fateFor(c *client) fate {
	now := time.Now()
	idle := c.mostReady == 0 || c.closing // nothing can come to c meanwhile
	switch {
	case m.finished:
		return fails
	case m.holder != nil && m.deadline.Add(-slack).Before(now) && now.Before(m.deadline.Add(slack)):
		return unsure
	case m.holder == c && now.Before(m.deadline):
		return succeeds
	case m.holder != nil && now.Before(m.deadline) && !c.story.crowded && !m.holder.left && !m.holder.doomed:
		return fails
	case idle && c.mostReady == 0:
		return fails
	}
	return unsure
}
