package queue

import (
	"math"
	"time"
)

// A dispatch is the volatile part of a channel that leads.
//
// Every unfinished message below window.read is in exactly one of three places: the window, the schedule, or, finished but
// not yet recorded, nowhere. At or above window.read, those recorded as waiting are in the window or the schedule, others
// are fresh.
type dispatch struct {
	cursor  *cursor
	options Options

	window   window
	timeouts timeouts
	schedule schedule
	pending  pending
	// settled are messages at or above window.read that are not fresh any more, though the cursor does not know it yet.
	settled offsetSet
	// freshTo is the end of the run, from window.read on, that is known to be fresh.
	freshTo Offset
	// dueTurn is true if an odd place belongs to a due message next, false if to a fresh one.
	dueTurn bool

	sessions []*Session // by id; nil are free
	waiters  waitingList
	counts   Counts
}

func newDispatch(c *cursor, o Options, now Now) *dispatch {
	q := &dispatch{cursor: c, options: o, dueTurn: true}
	q.window.base, q.window.read, q.freshTo = c.floor, c.floor, c.floor
	q.schedule = newSchedule(&c.waiting, now)
	return q
}

// cursorChanged takes notice of an applied delta.
func (q *dispatch) cursorChanged() {
	if q.window.read < q.cursor.floor {
		q.window.extend(q.cursor.floor)
	}
	q.freshTo = q.window.read
}

// deferred takes notice of a message that was published with a due time.
func (q *dispatch) deferred(off Offset, w wait) {
	if off < q.window.read {
		return // read already: it is somewhere
	}
	q.schedule.add(off, w)
	q.freshTo = min(q.freshTo, off)
}

// emptied drops everything below end.
func (q *dispatch) emptied(end Offset) {
	q.window.each(func(off Offset, s *slot) bool {
		if off < end {
			q.land(off, s)
		}
		return true
	})
	q.schedule.dropBelow(end)
	q.pending.dropBelow(end)
	q.cursorChanged()
}

// land ends the flight of a message.
func (q *dispatch) land(off Offset, s *slot) {
	owner := q.sessions[s.owner]
	owner.inFlight--
	if s.touched {
		q.timeouts.forget(off)
	}
	q.window.remove(off)
	if owner.waiting {
		q.waiters.settle(owner)
	}
}

// requeue ends the flight of a message and lets it wait for dueMs.
func (q *dispatch) requeue(off Offset, s *slot, dueMs int64) {
	w := wait{attempts: s.attempts, dueMs: dueMs}
	q.land(off, s)
	q.schedule.add(off, w)
	q.pending.requeue(off, w)
}

// owned returns the slot of a message that s has in flight.
func (q *dispatch) owned(s *Session, off Offset) (*slot, error) {
	flying := q.window.get(off)
	switch {
	case flying == nil:
		return nil, ErrNotInFlight
	case flying.owner != s.id:
		return nil, ErrNotOwner
	}
	return flying, nil
}

// Finish ends a message for good. Errors: ErrNotInFlight, ErrNotOwner.
func (c *Channel) Finish(now Now, s *Session, off Offset) error {
	q := c.leading(s)
	if q == nil {
		return ErrNotInFlight
	}
	flying, err := q.owned(s, off)
	if err != nil {
		return err
	}
	redelivered := flying.attempts > 1
	q.land(off, flying)
	q.pending.finish(off, redelivered)
	s.counts.Finished++
	q.counts.Finished++
	return nil
}

// Requeue gives a message back: it is delivered again after delay, at once if delay is 0 or less. Errors as Finish.
func (c *Channel) Requeue(now Now, s *Session, off Offset, delay time.Duration) error {
	q := c.leading(s)
	if q == nil {
		return ErrNotInFlight
	}
	flying, err := q.owned(s, off)
	if err != nil {
		return err
	}
	dueMs := now.ms()
	if delay > 0 { // never early: round up
		dueMs = min(maxDueMs, (max(now.Wall, 0)%1e6+int64(min(delay, math.MaxInt64-1e7))+1e6-1)/1e6+dueMs)
	}
	q.schedule.advance(now)
	q.requeue(off, flying, dueMs)
	s.counts.Requeued++
	q.counts.Requeued++
	return nil
}

// Touch gives a message the session's timeout anew, but not beyond Options.MaxMsgTimeout after its delivery. Errors as
// Finish.
func (c *Channel) Touch(now Now, s *Session, off Offset) error {
	q := c.leading(s)
	if q == nil {
		return ErrNotInFlight
	}
	flying, err := q.owned(s, off)
	if err != nil {
		return err
	}
	q.timeouts.touch(off, min(now.Mono+s.timeout, flying.delivered+int64(q.options.MaxMsgTimeout)))
	q.window.setTouched(off)
	return nil
}

// Tick requeues what has timed out and makes ready what is due. It returns how many messages became ready.
func (c *Channel) Tick(now Now) int {
	q := c.lead
	if q == nil {
		return 0
	}
	became := q.schedule.advance(now)
	q.timeouts.expire(now.Mono, &q.window, func(off Offset) {
		q.timeOut(now, off, q.window.get(off))
		became++
	})
	return became
}

// timeOut requeues a message, at once due, that its session did not finish.
func (q *dispatch) timeOut(now Now, off Offset, s *slot) {
	q.sessions[s.owner].counts.TimedOut++
	q.requeue(off, s, now.ms())
	q.counts.TimedOut++
}

// NextEvent returns when Tick is to be called next: mono, when the next message times out, and wall, when the next is due;
// 0 if there is none of the sort, and ok is false if there is none at all.
func (c *Channel) NextEvent() (mono int64, wall int64, ok bool) {
	q := c.lead
	if q == nil {
		return 0, 0, false
	}
	mono, timing := q.timeouts.earliest(&q.window)
	dueMs, waiting := q.schedule.nextDue()
	if waiting {
		wall = min(dueMs, math.MaxInt64/1_000_000) * 1_000_000
	}
	return mono, wall, timing || waiting
}

// Flush appends to dst a delta of what happened since the last Flush, at most about maxBytes of it (the rest stays
// pending, but a delta makes progress however small maxBytes is), and nothing if nothing pends. The caller proposes the
// delta to the log and gives it to ApplyDelta or to Refuse.
func (c *Channel) Flush(dst []byte, maxBytes int) []byte {
	if c.lead == nil {
		return dst
	}
	return c.lead.pending.flush(dst, maxBytes)
}

// Pending reports whether there is anything to flush.
func (c *Channel) Pending() bool { return c.lead != nil && !c.lead.pending.empty() }

// Refuse makes a flushed delta pend again: it did not get into the log. Its bytes must be those that Flush gave.
func (c *Channel) Refuse(delta []byte) {
	q := c.lead
	if q == nil || c.cursor.checkDelta(delta) != nil {
		return
	}
	floor := c.cursor.floor // what was emptied meanwhile is gone
	_ = readDelta(delta, func(from, to Offset) { q.pending.finishRange(max(from, floor), to) }, func(off Offset, w wait) {
		if off >= floor {
			q.pending.requeue(off, w)
		}
	})
}

// Drop skips the messages below to that were never delivered and do not wait, as a channel with bounded room does when it
// overflows, and returns how many.
func (c *Channel) Drop(to Offset) int {
	q := c.lead
	if q == nil {
		return 0
	}
	n := 0
	for to = min(to, c.cursor.floor+maxSpan); q.seekFresh(to); {
		from := q.window.read
		q.window.extend(min(q.freshTo, to))
		q.pending.finishRange(from, q.window.read)
		n += int(q.window.read - from)
	}
	q.counts.Dropped += uint64(n)
	return n
}

func (q *dispatch) addSession(s *Session) {
	for s.id = 0; int(s.id) < len(q.sessions) && q.sessions[s.id] != nil; s.id++ {
	}
	if int(s.id) == len(q.sessions) {
		q.sessions = append(q.sessions, nil)
	}
	q.sessions[s.id] = s
	q.timeouts.join(s.id, s.timeout)
}

func (q *dispatch) removeSession(now Now, s *Session) {
	s.waiting = false
	q.waiters.settle(s)
	if s.inFlight > 0 {
		q.schedule.advance(now)
		q.window.each(func(off Offset, flying *slot) bool {
			if flying.owner == s.id {
				q.timeOut(now, off, flying)
			}
			return s.inFlight > 0
		})
	}
	q.timeouts.leave(s.id)
	q.sessions[s.id] = nil
}
