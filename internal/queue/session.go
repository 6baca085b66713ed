package queue

import "time"

// A Session is a consumer of the channel, as the channel sees it. It belongs to one leadership: after Follow it takes
// nothing, and what it had in flight is not in flight.
type Session struct {
	lead     *dispatch
	id       uint32
	timeout  int64 // of its messages, ns
	sample   uint32
	ready    int
	inFlight int
	counts   SessionCounts

	waiting    bool // found nothing to take, and was not woken since
	listed     bool // in the list of those to wake: waiting, and its window is open
	next, prev *Session
}

// SessionCounts are what a session did since it was added.
type SessionCounts struct {
	Delivered, Finished, Requeued, TimedOut uint64
}

// Ready returns the concurrency window that SetReady gave.
func (s *Session) Ready() int { return s.ready }

// InFlight returns how many messages the session holds.
func (s *Session) InFlight() int { return s.inFlight }

// Counts returns what the session did so far.
func (s *Session) Counts() SessionCounts { return s.counts }

// window returns how many messages more the session may take.
func (s *Session) window() int { return max(0, s.ready-s.inFlight) }

// A waitingList is the round of sessions to wake: they wait, and their window is open. Sessions that wait with a closed
// window stay outside, so that nobody wakes them in vain, and come in when it opens.
type waitingList struct {
	head, tail *Session
	ready      int // sum of the ready counts of those in the list
}

// settle lets s into the list or out of it, as its state demands.
func (l *waitingList) settle(s *Session) {
	switch want := s.waiting && s.window() > 0; {
	case want && !s.listed:
		s.listed, s.prev, s.next = true, l.tail, nil
		if l.tail == nil {
			l.head = s
		} else {
			l.tail.next = s
		}
		l.tail = s
		l.ready += s.ready
	case !want && s.listed:
		if s.prev == nil {
			l.head = s.next
		} else {
			s.prev.next = s.next
		}
		if s.next == nil {
			l.tail = s.prev
		} else {
			s.next.prev = s.prev
		}
		s.listed, s.prev, s.next = false, nil, nil
		l.ready -= s.ready
	}
}

// AddSession adds a consumer whose messages time out after timeout, and which gets only about sampleRate percent of the
// messages that it pulls, 1 to 99; 0 or 100 is all. Its ready count is 0. On a channel that does not lead, the session
// never gets anything.
func (c *Channel) AddSession(timeout time.Duration, sampleRate int) *Session {
	s := &Session{lead: c.lead, timeout: int64(max(timeout, 1))}
	if sampleRate > 0 && sampleRate < 100 {
		s.sample = uint32(sampleRate)
	}
	if c.lead != nil {
		c.lead.addSession(s)
	}
	return s
}

// RemoveSession forgets a session and requeues what it has in flight, due at once and counted as timeouts. A second call
// for the same session does nothing.
func (c *Channel) RemoveSession(now Now, s *Session) {
	if q := c.leading(s); q != nil {
		q.removeSession(now, s)
	}
	s.lead = nil
}

// SetReady gives the session's concurrency window: it gets messages while fewer than n are in flight with it.
func (c *Channel) SetReady(s *Session, n int) {
	n = max(n, 0)
	if s.listed {
		s.lead.waiters.ready += n - s.ready
	}
	s.ready = n
	if q := c.leading(s); q != nil {
		q.waiters.settle(s)
	}
}

// Wait notes that the session found nothing to take, so that NextWaiter returns it when there is something.
func (c *Channel) Wait(s *Session) {
	if q := c.leading(s); q != nil {
		s.waiting = true
		q.waiters.settle(s)
	}
}

// NextWaiter returns the session to wake, round robin among those that wait with an open window, if anything is ready
// below end; nil if nothing is or nobody waits. The session waits no more: it must Take, then Wait again or go on, and
// in both cases pass the turn on by calling NextWaiter.
func (c *Channel) NextWaiter(now Now, end Offset) *Session {
	q := c.lead
	if q == nil || q.waiters.head == nil || !q.anyReady(now, end) {
		return nil
	}
	s := q.waiters.head
	s.waiting = false
	q.waiters.settle(s)
	return s
}

// leading returns the volatile part if s belongs to it.
func (c *Channel) leading(s *Session) *dispatch {
	if s.lead == nil || s.lead != c.lead {
		return nil
	}
	return c.lead
}

// Waiting reports whether any session waits with an open window, so that NextWaiter may find one.
func (c *Channel) Waiting() bool { return c.lead != nil && c.lead.waiters.head != nil }

// Holds reports whether the message at off is in flight with the session.
func (c *Channel) Holds(s *Session, off Offset) bool {
	q := c.leading(s)
	if q == nil {
		return false
	}
	_, err := q.owned(s, off)
	return err == nil
}
