package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/queue"
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

// Subscription is one session's place in a channel: a seat in the channel of each partition that this node has a replica of. Only
// those that the node leads deliver.
//
// Concurrency: Pull belongs to one goroutine at a time; every other method may run beside it. mu guards the seats; it is taken
// after a partition's mutex and before a channel's.
type Subscription struct {
	topic   *Topic
	name    string // of the channel
	client  Client
	options SubscribeOptions

	ready   atomic.Int64 // RDY
	closing atomic.Bool  // CLS or Close: no more deliveries
	told    atomic.Bool  // the client was told to go

	mu struct {
		sync.Mutex
		seats  []*seat
		closed bool
	}
	led  atomic.Pointer[[]*seat] // the seats whose partitions this node leads
	pool pool
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
	_, behind, err := t.createChannel(ctx, channel)
	if err != nil {
		return nil, err
	}
	s := &Subscription{topic: t, name: channel, client: client, options: o}
	s.led.Store(new([]*seat))
	if err := t.enter(s); err != nil {
		return nil, err
	}
	if err := s.takeSeats(behind); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// takeSeats enters the channel in each partition. A channel that comes later to one of them lets the subscription in by itself;
// behind says that this may be so for all of them.
func (s *Subscription) takeSeats(behind bool) error {
	t := s.topic
	seats := 0
	for _, p := range t.parts {
		ch, ok := p.channel(s.name)
		if !ok {
			continue
		}
		if err := s.take(ch); err != nil {
			return err
		}
		seats++
	}
	switch {
	case seats == 0 && (len(t.parts) > 0 && !behind || t.gone.Load()):
		return ErrChannelNotFound // deleted again, just now
	case t.only() && t.parts[0].failure() != nil:
		// Asked afterwards: a failure that comes later finds the subscription and tells it.
		return fmt.Errorf("subscribe to %s: %w: %w", s.name, ErrFailed, t.parts[0].failure())
	}
	return nil
}

// take takes a seat in the channel of one partition, in place of one in a channel that is gone.
func (s *Subscription) take(ch *Channel) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return ErrClosed
	}
	for _, have := range s.mu.seats {
		if have.channel == ch {
			return nil
		}
	}
	s.mu.seats = slices.DeleteFunc(s.mu.seats, func(have *seat) bool { return have.channel.partition == ch.partition })
	seat := &seat{sub: s, channel: ch}
	if ch.latency != nil {
		seat.flights = newFlights(ch.latency)
	}
	seat.pull.reader = ch.partition.log.NewReader()
	s.mu.seats = append(s.mu.seats, seat) // before it is entered: SetReady must find it
	if err := ch.enter(seat); err != nil {
		s.mu.seats = s.mu.seats[:len(s.mu.seats)-1]
		return err
	}
	s.chooseLocked()
	return nil
}

// choose finds out which seats deliver, after leadership has changed.
func (s *Subscription) choose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chooseLocked()
}

func (s *Subscription) chooseLocked() {
	led := make([]*seat, 0, len(s.mu.seats))
	for _, seat := range s.mu.seats {
		if seat.channel.leads.Load() {
			led = append(led, seat)
		}
	}
	s.led.Store(&led)
}

// seats returns all seats.
func (s *Subscription) seats() []*seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.seats)
}

// seatOf returns the seat that a message was delivered from, nil if its partition does not deliver here any more.
func (s *Subscription) seatOf(id *MessageID) *seat {
	number, _, ok := id.split(s.topic.id)
	if !ok {
		return nil
	}
	for _, seat := range *s.led.Load() {
		if seat.channel.partition.number == number {
			return seat
		}
	}
	return nil
}

// window is the ready count that the queues see.
func (s *Subscription) window() int {
	if s.closing.Load() {
		return 0
	}
	return int(s.ready.Load())
}

// SetReady sets how many messages may be in flight to the session, in all partitions together; 0 stops deliveries.
func (s *Subscription) SetReady(n int) {
	s.ready.Store(int64(n))
	s.rewindow()
}

// StartClose ends deliveries; what is in flight can still be answered.
func (s *Subscription) StartClose() {
	s.closing.Store(true)
	s.rewindow()
}

// rewindow gives the queues the ready count.
func (s *Subscription) rewindow() {
	for _, seat := range s.seats() {
		seat.change(func(now queue.Now, q *queue.Channel) {
			q.SetReady(seat.session, s.window())
		})
	}
	s.pool.landed(s.client)
}

// Finish marks messages as done. failed is called, after the lock is released, for each that is not in flight
// (ErrNotInFlight) or not the session's (ErrNotOwner). The finishes are durable within FlushInterval plus a sync.
func (s *Subscription) Finish(ids []MessageID, failed func(i int, err error)) {
	led := *s.led.Load()
	if len(led) == 1 {
		led[0].finish(ids, failed)
		s.pool.landed(s.client)
		return
	}
	errs := make([]error, len(ids))
	for i := range errs {
		errs[i] = ErrNotInFlight
	}
	for _, seat := range led {
		seat.change(func(now queue.Now, q *queue.Channel) {
			for i := range ids {
				if offset, ok := seat.offset(&ids[i]); ok {
					errs[i] = q.Finish(now, seat.session, offset)
				}
			}
		})
		seat.landed(ids, errs)
	}
	s.pool.landed(s.client)
	for i, err := range errs {
		if err != nil {
			failed(i, err)
		}
	}
}

// Requeue gives a message back, deliverable again after delay. Errors: ErrNotInFlight, ErrNotOwner.
func (s *Subscription) Requeue(id MessageID, delay time.Duration) error {
	seat := s.seatOf(&id)
	if seat == nil {
		return ErrNotInFlight
	}
	err := seat.requeue(id, delay)
	s.pool.landed(s.client)
	return err
}

// Touch starts a message's timeout anew. Errors: ErrNotInFlight, ErrNotOwner.
func (s *Subscription) Touch(id MessageID) error {
	seat := s.seatOf(&id)
	if seat == nil {
		return ErrNotInFlight
	}
	return seat.touch(id)
}

// Close leaves the channel: what is in flight is requeued at once and counted as timed out. An ephemeral channel goes with
// its last subscription. Close must not run beside Pull.
func (s *Subscription) Close() {
	s.closing.Store(true)
	s.topic.leave(s)
	s.mu.Lock()
	s.mu.closed = true
	seats := s.mu.seats
	s.mu.Unlock()
	s.pool.turnTo(new([]*seat))
	for _, seat := range seats {
		seat.leave()
	}
}

// dismiss tells the client to go, once.
func (s *Subscription) dismiss(err error) {
	if s.told.CompareAndSwap(false, true) {
		s.client.Gone(err)
	}
}
