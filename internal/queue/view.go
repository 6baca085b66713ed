package queue

import (
	"cmp"
	"slices"
)

// maxSkips bounds how many runs of messages that are not fresh one look for fresh ones passes over.
const maxSkips = 1 << 16

// maxStraysSeen bounds how many messages far behind the others a look at the flights takes in: they are in no order.
const maxStraysSeen = 1 << 16

// A Flight is a message that is in flight. Times are monotonic, as in Now.
type Flight struct {
	Offset              Offset
	Attempts            uint16
	Delivered, Deadline int64
	Session             *Session
}

// Flights returns, in offset order, the messages in flight from an offset on, at most limit. Only a channel that leads has any. When
// more than 65,536 have fallen far behind the others, some of those are left out.
func (c *Channel) Flights(from Offset, limit int) []Flight {
	q := c.lead
	if q == nil {
		return nil
	}
	var list []Flight
	add := func(off Offset, s *slot) {
		owner := q.sessions[s.owner]
		f := Flight{Offset: off, Attempts: s.attempts, Delivered: s.delivered, Deadline: s.delivered + owner.timeout, Session: owner}
		if s.touched {
			f.Deadline = q.timeouts.touched[off]
		}
		list = append(list, f)
	}
	seen := 0
	for off, s := range q.window.strays {
		if seen++; seen > maxStraysSeen {
			break
		}
		if off >= from {
			add(off, &s)
		}
	}
	for off, found := max(from, q.window.base), 0; off < q.window.read && found < limit && len(q.window.ring) > 0; off++ {
		if s := q.window.slotOf(off); s.used {
			add(off, s)
			found++
		}
	}
	slices.SortFunc(list, func(a, b Flight) int { return cmp.Compare(a.Offset, b.Offset) })
	return list[:min(limit, len(list))]
}

// A Scheduled message was requeued or deferred, and waits.
type Scheduled struct {
	Offset   Offset
	Attempts uint16
	DueMs    int64 // Unix ms
}

// Due returns, in the order of their delivery, messages that were requeued or deferred and are due, after a place in that order
// (the zero Scheduled is before all), at most limit. Only a channel that leads has any.
func (c *Channel) Due(now Now, after Scheduled, limit int) []Scheduled {
	if c.lead == nil {
		return nil
	}
	c.lead.schedule.advance(now)
	return c.lead.schedule.view(after.next(), c.lead.schedule.dueTo, limit)
}

// Deferred is Due for messages that are not due yet.
func (c *Channel) Deferred(now Now, after Scheduled, limit int) []Scheduled {
	if c.lead == nil {
		return nil
	}
	s := &c.lead.schedule
	s.advance(now)
	from := pair{key: s.dueTo + 1}
	if after.DueMs > s.dueTo {
		from = after.next()
	}
	return s.view(from, maxDueMs, limit)
}

// next is the place behind a message in the schedule.
func (s Scheduled) next() pair {
	if s == (Scheduled{}) {
		return pair{}
	}
	return pair{s.DueMs, uint64(min(max(s.Offset, 0), maxOffset-2)+1) << 16}
}

// view lists what is scheduled from a place on, up to a due time.
func (s *schedule) view(from pair, dueTo int64, limit int) []Scheduled {
	var list []Scheduled
	for at := s.list.seek(from); len(list) < limit; at = s.list.next(at) {
		p, ok := s.list.at(at)
		if !ok || p.key > dueTo {
			break
		}
		list = append(list, Scheduled{Offset(p.value >> 16), uint16(p.value), p.key})
	}
	return list
}

// Fresh returns messages in [from, end) that were never delivered, in offset order, at most limit, and fewer when more than 65,536 runs
// of others lie between. Of a channel that follows, those that
// the leader has in flight are among them.
func (c *Channel) Fresh(from, end Offset, limit int) []Offset {
	from = max(from, c.cursor.floor)
	if c.lead != nil {
		from = max(from, c.lead.window.read)
	}
	var list []Offset
	for skips := 0; from < end && len(list) < limit && skips < maxSkips; {
		next := c.cursor.waiting.runEnd(c.cursor.finished.nextUnset(from))
		if c.lead != nil {
			next = c.lead.settled.nextUnset(next)
		}
		if next > from {
			from = next
			skips++
			continue
		}
		list = append(list, from)
		from++
	}
	return list
}
