package broker

import (
	"errors"
	"time"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// ErrNotUnfinished means that a message is finished already, or is not in the channel.
var ErrNotUnfinished = queue.ErrNotUnfinished

// State is where an unfinished message of a channel is.
type State int

// States. Waiting messages are ready for delivery: requeued or deferred ones that are due, then those never delivered.
const (
	Waiting State = iota
	InFlight
	Deferred
)

// Held is a message that a channel holds. Times are Unix ms; those that do not apply are 0.
type Held struct {
	Offset    record.Offset
	Attempts  uint16 // deliveries so far, that under way included
	Due       int64
	Delivered int64
	Deadline  int64
	Consumer  Client // who has it in flight; nil if nobody
}

// Place is where a look at a channel's messages goes on. The zero Place is the beginning.
type Place struct {
	Fresh  bool // among those never delivered
	Due    int64
	Offset record.Offset // the last one seen
}

// Peek returns the messages that a channel holds in a state, in one partition, after a place, at most limit, and the place behind them.
// It is a look at a moving thing: pages may miss a message that changes its place, or show it twice. What is in flight and deferred
// is known to the leader alone. Errors: ErrNoPartition, ErrChannelNotFound, ErrNotLeader.
func (t *Topic) Peek(partition uint16, channel string, state State, after Place, limit int) ([]Held, Place, error) {
	c, err := t.ledChannel(partition, channel)
	if err != nil {
		return nil, after, err
	}
	now, end := c.partition.broker.now(), c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.leading {
		return nil, after, ErrNotLeader
	}
	switch state {
	case InFlight:
		return c.flightsLocked(now, after, limit)
	case Deferred:
		list := held(c.mu.queue.Deferred(now, queue.Scheduled{DueMs: after.Due, Offset: after.Offset}, limit))
		return list, behind(list, after, false), nil
	}
	var list []Held
	if !after.Fresh {
		list = held(c.mu.queue.Due(now, queue.Scheduled{DueMs: after.Due, Offset: after.Offset}, limit))
		after = behind(list, after, false)
		if len(list) == limit {
			return list, after, nil
		}
		after = Place{Fresh: true, Offset: -1}
	}
	for _, o := range c.mu.queue.Fresh(after.Offset+1, end, limit-len(list)) {
		list = append(list, Held{Offset: o})
	}
	return list, behind(list, after, true), nil
}

func held(scheduled []queue.Scheduled) []Held {
	list := make([]Held, len(scheduled))
	for i, s := range scheduled {
		list[i] = Held{Offset: s.Offset, Attempts: s.Attempts, Due: s.DueMs}
	}
	return list
}

// behind is the place of the last of a list.
func behind(list []Held, after Place, fresh bool) Place {
	if len(list) == 0 {
		return after
	}
	last := list[len(list)-1]
	return Place{Fresh: fresh, Due: last.Due, Offset: last.Offset}
}

// flightsLocked lists what is in flight. Monotonic times become wall times by the clocks of now.
func (c *Channel) flightsLocked(now queue.Now, after Place, limit int) ([]Held, Place, error) {
	from := after.Offset + 1
	if after == (Place{}) {
		from = 0
	}
	wall := func(mono int64) int64 { return (now.Wall - now.Mono + mono) / 1e6 }
	var list []Held
	for _, f := range c.mu.queue.Flights(from, limit) {
		h := Held{Offset: f.Offset, Attempts: f.Attempts, Delivered: wall(f.Delivered), Deadline: wall(f.Deadline)}
		if seat := c.mu.bySession[f.Session]; seat != nil {
			h.Consumer = seat.sub.client
		}
		list = append(list, h)
	}
	return list, behind(list, after, true), nil
}

// Finish takes one message out of a channel, in flight or not. It is recorded as consumers' finishes are. Errors: ErrNoPartition,
// ErrChannelNotFound, ErrNotLeader, ErrNotUnfinished.
func (t *Topic) Finish(partition uint16, channel string, offset record.Offset) error {
	return t.settle(partition, channel, func(_ queue.Now, q *queue.Channel, end record.Offset) error { return q.FinishAny(offset, end) })
}

// Requeue makes one message of a channel due after delay, at once if it is 0. One in flight is taken from its consumer. Errors as Finish.
func (t *Topic) Requeue(partition uint16, channel string, offset record.Offset, delay time.Duration) error {
	return t.settle(partition, channel, func(now queue.Now, q *queue.Channel, end record.Offset) error {
		return q.RequeueAny(now, offset, end, delay)
	})
}

func (t *Topic) settle(partition uint16, channel string, do func(queue.Now, *queue.Channel, record.Offset) error) error {
	c, err := t.ledChannel(partition, channel)
	if err != nil {
		return err
	}
	now, end := c.partition.broker.now(), c.end()
	c.mu.Lock()
	if !c.mu.leading {
		c.mu.Unlock()
		return ErrNotLeader
	}
	err = do(now, c.mu.queue, end)
	client := c.nextLocked(now)
	c.changedLocked(now)
	c.mu.Unlock()
	if client != nil {
		client.Wake()
	}
	return err
}

// ledChannel finds the channel of one partition.
func (t *Topic) ledChannel(partition uint16, channel string) (*Channel, error) {
	p := t.replica(partition)
	if p == nil {
		return nil, ErrNoPartition
	}
	if err := p.failure(); err != nil {
		return nil, errors.Join(ErrFailed, err)
	}
	c, ok := p.channel(channel)
	if !ok {
		return nil, ErrChannelNotFound
	}
	return c, nil
}

// Floors returns, by partition, the offsets below which all messages of a channel are recorded as finished.
func (t *Topic) Floors(channel string) map[uint16]record.Offset {
	floors := make(map[uint16]record.Offset)
	for _, p := range t.parts {
		if c, ok := p.channel(channel); ok {
			c.mu.Lock()
			floors[p.number] = c.mu.queue.Floor()
			c.mu.Unlock()
		}
	}
	return floors
}
