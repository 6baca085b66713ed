package queue

import (
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// minCompact is how many runs a timeoutQueue holds before it looks for dead ones.
const minCompact = 1024

// A flightRun is a run of messages delivered at one time. Messages that ended their flight since are dead in it.
type flightRun struct {
	first     record.Offset
	n         int
	delivered int64
}

// A timeoutQueue holds the runs delivered to sessions with one message timeout, so the oldest is the first to time out.
// Finishing does not touch it: dead runs are dropped from its head, and everywhere when too many have gathered behind a
// message that stays long.
type timeoutQueue struct {
	all      *timeouts
	timeout  int64
	sessions int // that share it
	runs     []flightRun
	head     int
	limit    int // of runs, before a compaction
}

// push adds a run, the latest.
func (q *timeoutQueue) push(r flightRun, w *window) {
	q.trim(w)
	if last := len(q.runs) - 1; last >= q.head {
		if l := &q.runs[last]; l.delivered == r.delivered && l.first+record.Offset(l.n) == r.first {
			l.n += r.n
			return
		}
	}
	if len(q.runs)-q.head >= max(q.limit, minCompact) {
		q.compact(w)
	}
	if q.head > len(q.runs)/2 {
		q.runs = slices.Delete(q.runs, 0, q.head)
		q.head = 0
	}
	q.runs = append(q.runs, r)
}

// live reports whether off is still in the flight that r stands for, with its first deadline.
func (q *timeoutQueue) live(r *flightRun, off record.Offset, w *window) bool {
	s := w.get(off)
	return s != nil && s.delivered == r.delivered && !s.touched && q.all.owners[s.owner] == q
}

// trim drops dead runs, and dead messages of the first run, from the head.
func (q *timeoutQueue) trim(w *window) {
	for q.head < len(q.runs) {
		r := &q.runs[q.head]
		if len(w.strays) == 0 && r.first < w.base { // everything below base is dead
			skip := min(r.n, int(w.base-r.first))
			r.first += record.Offset(skip)
			r.n -= skip
		}
		for r.n > 0 && !q.live(r, r.first, w) {
			r.first++
			r.n--
		}
		if r.n > 0 {
			return
		}
		q.head++
	}
	q.runs, q.head = q.runs[:0], 0
}

// compact keeps only what is in flight still. What is left is at most one run for each message in flight.
func (q *timeoutQueue) compact(w *window) {
	old := q.runs[q.head:]
	kept := make([]flightRun, 0, minCompact)
	for i := range old {
		kept = q.appendLive(kept, &old[i], w)
	}
	q.runs, q.head, q.limit = kept, 0, 2*len(kept)
}

// appendLive appends the live parts of r.
func (q *timeoutQueue) appendLive(dst []flightRun, r *flightRun, w *window) []flightRun {
	add := func(off record.Offset) {
		if !q.live(r, off, w) {
			return
		}
		if last := len(dst) - 1; last >= 0 && dst[last].delivered == r.delivered && dst[last].first+record.Offset(dst[last].n) == off {
			dst[last].n++
			return
		}
		dst = append(dst, flightRun{off, 1, r.delivered})
	}
	off, end := r.first, r.first+record.Offset(r.n)
	if below := min(end, w.base); off < below && len(w.strays) < int(below-off) {
		// Only strays live down there, and they are few.
		var found []record.Offset
		for stray := range w.strays {
			if stray >= off && stray < below {
				found = append(found, stray)
			}
		}
		slices.Sort(found)
		for _, stray := range found {
			add(stray)
		}
		off = below
	}
	for ; off < end; off++ {
		add(off)
	}
	return dst
}

// timeouts knows when messages in flight time out.
type timeouts struct {
	queues     []*timeoutQueue // one for each timeout that a session has
	owners     []*timeoutQueue // by session
	touched    map[record.Offset]int64
	byDeadline pairList // touched: key deadline, value offset
}

// join gives session id a message timeout.
func (t *timeouts) join(id uint32, timeout int64) {
	for len(t.owners) <= int(id) {
		t.owners = append(t.owners, nil)
	}
	i := slices.IndexFunc(t.queues, func(q *timeoutQueue) bool { return q.timeout == timeout })
	if i < 0 {
		i = len(t.queues)
		t.queues = append(t.queues, &timeoutQueue{all: t, timeout: timeout})
	}
	t.queues[i].sessions++
	t.owners[id] = t.queues[i]
}

// leave forgets session id, which has nothing in flight.
func (t *timeouts) leave(id uint32) {
	q := t.owners[id]
	t.owners[id] = nil
	if q.sessions--; q.sessions == 0 {
		t.queues = slices.DeleteFunc(t.queues, func(other *timeoutQueue) bool { return other == q })
	}
}

// touch gives a message a deadline of its own.
func (t *timeouts) touch(off record.Offset, deadline int64) {
	t.forget(off)
	if t.touched == nil {
		t.touched = make(map[record.Offset]int64)
	}
	t.touched[off] = deadline
	t.byDeadline.insert(pair{deadline, uint64(off)})
}

// forget drops the deadline of a message that was touched.
func (t *timeouts) forget(off record.Offset) {
	if deadline, ok := t.touched[off]; ok {
		delete(t.touched, off)
		t.byDeadline.removePair(pair{deadline, uint64(off)})
	}
}

// earliest returns the next deadline.
func (t *timeouts) earliest(w *window) (deadline int64, ok bool) {
	if p, some := t.byDeadline.at(place{}); some {
		deadline, ok = p.key, true
	}
	for _, q := range t.queues {
		q.trim(w)
		if q.head < len(q.runs) {
			if d := q.runs[q.head].delivered + q.timeout; !ok || d < deadline {
				deadline, ok = d, true
			}
		}
	}
	return deadline, ok
}

// expire calls fn, which ends the flight, for every message whose deadline has come.
func (t *timeouts) expire(now int64, w *window, fn func(record.Offset)) {
	for _, q := range t.queues {
		for q.trim(w); q.head < len(q.runs) && q.runs[q.head].delivered+q.timeout <= now; q.trim(w) {
			fn(q.runs[q.head].first)
		}
	}
	for p, ok := t.byDeadline.at(place{}); ok && p.key <= now; p, ok = t.byDeadline.at(place{}) {
		fn(record.Offset(p.value))
	}
}
