package broker

import (
	"time"

	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// seat is a subscription's place in the channel of one partition.
type seat struct {
	sub     *Subscription
	channel *Channel

	// Guarded by channel.mu.

	session *queue.Session // nil until the channel leads, and stale when it does no more
	left    bool
	called  bool // off the waiting list to take its turn

	pull    puller
	flights *flights // nil unless latencies are measured
}

func (c *Channel) enter(s *seat) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed != nil {
		return c.mu.closed
	}
	c.mu.seats[s] = struct{}{}
	if c.mu.leading {
		c.enterLocked(s)
	}
	return nil
}

// leave gives up the seat.
func (s *seat) leave() {
	c := s.channel
	s.change(func(now queue.Now, q *queue.Channel) {
		q.RemoveSession(now, s.session)
		delete(c.mu.bySession, s.session)
		s.left = true
	})
	c.mu.Lock()
	delete(c.mu.seats, s)
	s.left = true
	c.mu.Unlock()
	s.pull.release()
	if c.ephemeral {
		c.partition.removeIdle(c)
	}
}

// finish is Subscription.Finish for messages of this partition; others are not in flight here.
func (s *seat) finish(ids []MessageID, failed func(i int, err error)) {
	var errs []error // nil while all is well
	note := func(i int, err error) {
		if errs == nil {
			errs = make([]error, len(ids))
		}
		errs[i] = err
	}
	led := s.change(func(now queue.Now, q *queue.Channel) {
		for i := range ids {
			offset, ok := s.offset(&ids[i])
			if !ok {
				note(i, ErrNotInFlight)
			} else if err := q.Finish(now, s.session, offset); err != nil {
				note(i, err)
			}
		}
	})
	if !led {
		for i := range ids {
			note(i, ErrNotInFlight)
		}
	}
	s.landed(ids, errs)
	for i, err := range errs {
		if err != nil {
			failed(i, err)
		}
	}
}

// landed measures the messages that were finished: those of this partition without an error. errs may be nil.
func (s *seat) landed(ids []MessageID, errs []error) {
	if s.flights != nil {
		s.flights.end(func(i int) (record.Offset, bool) { return s.offset(&ids[i]) }, len(ids), errs)
	}
}

func (s *seat) requeue(id MessageID, delay time.Duration) error {
	return s.answer(id, func(now queue.Now, q *queue.Channel, offset record.Offset) error {
		return q.Requeue(now, s.session, offset, delay)
	})
}

func (s *seat) touch(id MessageID) error {
	return s.answer(id, func(now queue.Now, q *queue.Channel, offset record.Offset) error {
		return q.Touch(now, s.session, offset)
	})
}

func (s *seat) answer(id MessageID, do func(queue.Now, *queue.Channel, record.Offset) error) error {
	offset, ok := s.offset(&id)
	if !ok {
		return ErrNotInFlight
	}
	err := ErrNotInFlight
	s.change(func(now queue.Now, q *queue.Channel) { err = do(now, q, offset) })
	return err
}

// change runs do on the queue, under the channel's mutex, and then wakes whoever can use what has become ready. It reports
// false, having done nothing, if this node does not lead the partition.
func (s *seat) change(do func(queue.Now, *queue.Channel)) bool {
	c := s.channel
	now := c.partition.broker.now()
	c.mu.Lock()
	if !s.liveLocked() {
		c.mu.Unlock()
		return false
	}
	do(now, c.mu.queue)
	client := c.nextLocked(now)
	c.changedLocked(now)
	c.mu.Unlock()
	if client != nil {
		client.Wake()
	}
	return true
}

// liveLocked reports whether the seat has a session in the queue.
func (s *seat) liveLocked() bool {
	return s.channel.mu.leading && !s.left && s.session != nil
}

// offset decodes an id of this partition.
func (s *seat) offset(id *MessageID) (record.Offset, bool) {
	p := s.channel.partition
	number, offset, ok := id.split(p.topic.id)
	return offset, ok && number == p.number
}
