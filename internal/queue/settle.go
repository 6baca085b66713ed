package queue

import (
	"errors"
	"math"
	"time"
)

// ErrNotUnfinished means that a message is finished already, or is not in the channel.
var ErrNotUnfinished = errors.New("message is not in the channel, or finished")

// FinishAny ends a message below end for good, whoever has it and wherever it waits: an operator takes it out of the channel. Its
// consumer, if it has one, gets ErrNotInFlight. Error: ErrNotUnfinished. It does nothing on a channel that does not lead.
func (c *Channel) FinishAny(off, end Offset) error {
	q := c.lead
	if q == nil {
		return nil
	}
	if _, err := q.seize(off, end); err != nil {
		return err
	}
	q.pending.finish(off, true)
	q.counts.Finished++
	return nil
}

// RequeueAny makes a message below end due after delay, at once if that is 0 or less, whoever has it and wherever it waits. One that was
// never delivered and shall be due at once stays where it is. Error: ErrNotUnfinished.
func (c *Channel) RequeueAny(now Now, off, end Offset, delay time.Duration) error {
	q := c.lead
	if q == nil {
		return nil
	}
	q.schedule.advance(now)
	if delay <= 0 && q.isFresh(off, end) {
		return nil
	}
	attempts, err := q.seize(off, end)
	if err != nil {
		return err
	}
	w := wait{attempts: attempts, dueMs: now.ms()}
	if delay > 0 {
		w.dueMs = min(maxDueMs, (max(now.Wall, 0)%1e6+int64(min(delay, math.MaxInt64-1e7))+1e6-1)/1e6+w.dueMs)
	}
	q.schedule.add(off, w)
	q.pending.requeue(off, w)
	q.counts.Requeued++
	return nil
}

// isFresh reports whether a message is at or behind the read position and would be delivered from there.
func (q *dispatch) isFresh(off, end Offset) bool {
	if off < q.window.read || off >= q.reach(end) || q.cursor.isFinished(off) || q.settled.contains(off) || q.window.get(off) != nil {
		return false
	}
	_, waits := q.cursor.waiting.get(off)
	return !waits
}

// seize takes an unfinished message out of the place that it is in, and returns how often it was delivered.
func (q *dispatch) seize(off, end Offset) (attempts uint16, err error) {
	if flying := q.window.get(off); flying != nil {
		attempts = flying.attempts
		q.land(off, flying)
		return attempts, nil
	}
	if q.isFresh(off, end) {
		q.settled.add(off)
		q.freshTo = min(q.freshTo, off)
		return 0, nil
	}
	if attempts, ok := q.schedule.remove(off, q.lastWait(off)); ok {
		return attempts, nil
	}
	return 0, ErrNotUnfinished
}

// lastWait is what was last noted of a message that waits; the zero wait if nothing is.
func (q *dispatch) lastWait(off Offset) wait {
	if w, ok := q.pending.requeued.get(off); ok {
		return w
	}
	w, _ := q.cursor.waiting.get(off)
	return w
}

// remove removes a message from the schedule. guess is probably how it stands there; if not, because its last requeue is on its way
// into the log, all are looked through.
func (s *schedule) remove(off Offset, guess wait) (attempts uint16, ok bool) {
	p := scheduled(off, guess)
	if !s.list.removePair(p) {
		if p, ok = s.find(off); !ok {
			return 0, false
		}
		s.list.removePair(p)
	}
	if p.key <= s.dueTo {
		s.ready--
	}
	return uint16(p.value), true
}

// find looks through all for a message.
func (s *schedule) find(off Offset) (p pair, ok bool) {
	for at := (place{}); ; at = s.list.next(at) {
		if p, ok = s.list.at(at); !ok || Offset(p.value>>16) == off {
			return p, ok
		}
	}
}
