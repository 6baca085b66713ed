package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// Errors of FIN, REQ and TOUCH. Their texts are what NSQ's clients see.
var (
	ErrNotInFlight = queue.ErrNotInFlight
	ErrNotOwner    = queue.ErrNotOwner
)

// Client is a consumer's session as the broker sees it. No method may block or call back into the broker.
type Client interface {
	// Wake reports that something is ready: the session should Pull soon. It may come from any goroutine, also when nothing
	// turns out to be there. A woken session must Pull, or Close, since it was chosen in place of others.
	Wake()
	// Gone reports that the subscription has ended: the channel or topic was deleted, or the log has failed.
	Gone(err error)
	// Stats describes the session.
	Stats() ClientStats
}

// SubscribeOptions are a session's negotiated settings.
type SubscribeOptions struct {
	// MsgTimeout is how long a message may be in flight before it is requeued.
	MsgTimeout time.Duration
	// SampleRate is the percentage of messages that the session receives; the others are finished unseen. 0 means all.
	SampleRate int
}

// Message is one delivery.
type Message struct {
	ID       MessageID
	Time     int64 // when it was appended, Unix ns
	Attempts uint16
	Body     []byte // valid during Deliver
}

// Sink takes the messages of a Pull.
type Sink interface {
	// Deliver takes one message; it must copy what it keeps.
	Deliver(m *Message)
}

// Subscription is one session's place in a channel.
//
// Concurrency: Pull belongs to one goroutine at a time; every other method may run beside it.
type Subscription struct {
	channel *Channel
	client  Client
	options SubscribeOptions

	// Guarded by channel.mu.

	session *queue.Session
	ready   int
	closing bool // CLS or Close: no more deliveries
	closed  bool
	called  bool // off the waiting list to take its turn

	pull    puller
	flights *flights // nil unless latencies are measured
}

// Subscribe enters a channel, creating topic and channel if they are new: a message published after its return is in the
// channel. Errors: ErrBadTopicName, ErrBadChannelName, those of creating, or the context's.
func (b *Broker) Subscribe(ctx context.Context, topic, channel string, c Client, o SubscribeOptions) (*Subscription, error) {
	if !ValidChannelName(channel) {
		return nil, ErrBadChannelName
	}
	for {
		t, err := b.CreateTopic(ctx, topic)
		if err != nil {
			return nil, err
		}
		s, err := t.subscribe(ctx, channel, c, o)
		if err == nil || ctx.Err() != nil || !b.wentAway(err) {
			return s, err
		}
	}
}

// wentAway reports whether err means that a topic or channel was deleted, or went with its last client, just now, so that it can
// be made anew.
func (b *Broker) wentAway(err error) bool {
	return errors.Is(err, ErrTopicNotFound) || errors.Is(err, ErrChannelNotFound) || errors.Is(err, ErrClosed) && !b.closed()
}

func (t *Topic) subscribe(ctx context.Context, channel string, client Client, o SubscribeOptions) (*Subscription, error) {
	ch, err := t.CreateChannel(ctx, channel)
	if err != nil {
		return nil, err
	}
	return ch.subscribe(client, o)
}

func (c *Channel) subscribe(client Client, o SubscribeOptions) (*Subscription, error) {
	s, err := c.enter(client, o)
	if err != nil {
		return nil, err
	}
	// Asked afterwards: a failure that comes later finds the subscription and tells it.
	if err := c.partition.failure(); err != nil {
		s.Close()
		return nil, fmt.Errorf("subscribe to %s: %w: %w", c.name, ErrFailed, err)
	}
	return s, nil
}

func (c *Channel) enter(client Client, o SubscribeOptions) (*Subscription, error) {
	s := &Subscription{channel: c, client: client, options: o}
	s.pull.reader = c.partition.log.NewReader()
	if c.latency != nil {
		s.flights = newFlights(c.latency)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed != nil {
		return nil, c.mu.closed
	}
	if most := c.partition.broker.options.MaxChannelConsumers; most > 0 && len(c.mu.subs) >= most {
		return nil, fmt.Errorf("consumers for %s:%s exceeds limit of %d", c.partition.topic.name, c.name, most) // nsqd's words
	}
	c.mu.subs[s] = struct{}{}
	if c.mu.leading {
		c.enterLocked(s)
	}
	return s, nil
}

// SetReady sets how many messages may be in flight to the session; 0 stops deliveries.
func (s *Subscription) SetReady(n int) {
	s.change(func(now queue.Now, q *queue.Channel) {
		s.ready = n
		q.SetReady(s.session, n)
	}, func() { s.ready = n })
}

// Finish marks messages as done. failed is called, after the lock is released, for each that is not in flight
// (ErrNotInFlight) or not the session's (ErrNotOwner). The finishes are durable within FlushInterval plus a sync.
func (s *Subscription) Finish(ids []MessageID, failed func(i int, err error)) {
	var errs []error // nil while all is well
	note := func(i int, err error) {
		if errs == nil {
			errs = make([]error, len(ids))
		}
		errs[i] = err
	}
	s.change(func(now queue.Now, q *queue.Channel) {
		for i := range ids {
			offset, ok := s.offset(&ids[i])
			if !ok {
				note(i, ErrNotInFlight)
			} else if err := q.Finish(now, s.session, offset); err != nil {
				note(i, err)
			}
		}
	}, func() {
		for i := range ids {
			note(i, ErrNotInFlight)
		}
	})
	if s.flights != nil {
		s.flights.end(func(i int) (record.Offset, bool) { return s.offset(&ids[i]) }, len(ids), errs)
	}
	for i, err := range errs {
		if err != nil {
			failed(i, err)
		}
	}
}

// Requeue gives a message back, deliverable again after delay. Errors: ErrNotInFlight, ErrNotOwner.
func (s *Subscription) Requeue(id MessageID, delay time.Duration) error {
	return s.answer(id, func(now queue.Now, q *queue.Channel, offset record.Offset) error {
		return q.Requeue(now, s.session, offset, delay)
	})
}

// Touch starts a message's timeout anew. Errors: ErrNotInFlight, ErrNotOwner.
func (s *Subscription) Touch(id MessageID) error {
	return s.answer(id, func(now queue.Now, q *queue.Channel, offset record.Offset) error {
		return q.Touch(now, s.session, offset)
	})
}

func (s *Subscription) answer(id MessageID, do func(queue.Now, *queue.Channel, record.Offset) error) error {
	offset, ok := s.offset(&id)
	if !ok {
		return ErrNotInFlight
	}
	err := ErrNotInFlight
	s.change(func(now queue.Now, q *queue.Channel) { err = do(now, q, offset) }, func() {})
	return err
}

// StartClose ends deliveries; what is in flight can still be answered.
func (s *Subscription) StartClose() {
	s.change(func(now queue.Now, q *queue.Channel) {
		s.closing = true
		q.SetReady(s.session, 0)
	}, func() { s.closing = true })
}

// Close leaves the channel: what is in flight is requeued at once and counted as timed out. An ephemeral channel goes with
// its last subscription. Close must not run beside Pull.
func (s *Subscription) Close() {
	c := s.channel
	leave := func() {
		delete(c.mu.subs, s)
		s.closed = true
	}
	s.change(func(now queue.Now, q *queue.Channel) {
		q.RemoveSession(now, s.session)
		delete(c.mu.bySession, s.session)
		leave()
	}, leave)
	s.pull.release()
	if c.ephemeral {
		c.partition.removeIdle(c)
	}
}

// change runs do on the queue while this node leads, else follow; both under the channel's mutex. Then it wakes whoever can use
// what has become ready.
func (s *Subscription) change(do func(queue.Now, *queue.Channel), follow func()) {
	c := s.channel
	now := c.partition.broker.now()
	c.mu.Lock()
	if s.closed || !c.mu.leading {
		follow()
		c.mu.Unlock()
		return
	}
	do(now, c.mu.queue)
	client := c.nextLocked(now)
	c.changedLocked(now)
	c.mu.Unlock()
	if client != nil {
		client.Wake()
	}
}

// offset decodes an id of this topic.
func (s *Subscription) offset(id *MessageID) (record.Offset, bool) {
	p := s.channel.partition
	number, offset, ok := id.split(p.topic.id)
	return offset, ok && number == p.number
}
