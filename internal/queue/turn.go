package queue

const (
	// maxTurn is how many messages a session gets in one turn at most.
	maxTurn = 64
	// maxSampled is how many messages one turn may discard by sampling at most.
	maxSampled = 1 << 16
)

// A Run is consecutive messages that a session is given, all with the same number of attempts, this one included.
type Run struct {
	First    Offset
	Count    int
	Attempts uint16
}

// A turn is one Take.
type turn struct {
	*dispatch
	now     Now
	s       *Session
	end     Offset
	dst     []Run
	start   int // of this turn's runs in dst
	sampled int
}

// Take gives the session messages below end, appends them to dst as runs, and marks them in flight: at most limit, and at
// most what the session's ready count leaves open, 64, and its share of what is ready (by ready count, among the sessions that
// wait), but at least one. Due messages come first, in order of due time and then offset, but get at most every second
// place while there are fresh ones. Nothing comes from a paused channel. Taking ends an earlier Wait.
func (c *Channel) Take(now Now, s *Session, end Offset, limit int, dst []Run) []Run {
	q := c.leading(s)
	if q == nil || q.cursor.paused {
		return dst
	}
	s.waiting = false
	q.waiters.settle(s)
	q.schedule.advance(now)
	t := turn{dispatch: q, now: now, s: s, end: q.reach(end), dst: dst, start: len(dst)}
	n := min(limit, s.window(), maxTurn)
	if n > 0 && q.waiters.head != nil {
		n = min(n, t.share())
	}
	if n > 0 {
		t.take(n)
	}
	return t.dst
}

// reach bounds end so that the finished set stays within its span.
func (q *dispatch) reach(end Offset) Offset { return min(end, q.cursor.floor+maxSpan) }

// share returns the part of what is ready that the session may take while others wait, at least 1.
func (t *turn) share() int {
	ready := int64(t.schedule.ready) + max(0, int64(t.end-t.window.read))
	all := float64(t.s.ready) + float64(t.waiters.ready)
	return int(min(maxTurn, max(1, float64(ready)*float64(t.s.ready)/all)))
}

// take gives n messages: due ones in half of the places or all that no fresh one fills, fresh ones in the rest.
func (t *turn) take(n int) {
	left := n
	if _, due := t.schedule.firstReady(t.end); due {
		places := n
		if t.freshReady(t.end) {
			places = n / 2
			if n%2 == 1 {
				if t.dueTurn {
					places++
				}
				t.dueTurn = !t.dueTurn
			}
		}
		left -= t.takeDue(places)
	}
	left -= t.takeFresh(left)
	if left > 0 {
		t.takeDue(left)
	}
}

// takeDue gives at most n due messages and returns how many.
func (t *turn) takeDue(n int) (took int) {
	for took < n {
		at, ok := t.schedule.firstReady(t.end)
		if !ok {
			break
		}
		off, attempts := t.schedule.take(at)
		if t.cursor.isFinished(off) {
			continue
		}
		if t.discard() {
			t.pending.finishRange(off, off+1)
			continue
		}
		attempts = min(attempts, maxAttempts-1) + 1
		t.window.put(off, slot{delivered: t.now.Mono, owner: t.s.id, attempts: attempts})
		t.deliver(off, 1, attempts)
		took++
	}
	return took
}

// takeFresh gives at most n messages that were never delivered, and returns how many.
func (t *turn) takeFresh(n int) (took int) {
	for took < n && t.freshReady(t.end) {
		first := t.window.read
		if t.discard() {
			t.window.extend(first + 1)
			t.pending.finishRange(first, first+1)
			continue
		}
		count := 1
		if t.s.sample == 0 {
			count = int(min(Offset(min(n-took, t.room())), t.freshTo-first, t.end-first))
		}
		t.window.fill(count, slot{delivered: t.now.Mono, owner: t.s.id, attempts: 1})
		t.deliver(first, count, 1)
		took += count
	}
	return took
}

// deliver notes a run that is in flight now.
func (t *turn) deliver(first Offset, n int, attempts uint16) {
	t.s.inFlight += n
	t.s.counts.Delivered += uint64(n)
	t.counts.Delivered += uint64(n)
	t.timeouts.owners[t.s.id].push(flightRun{first, n, t.now.Mono}, &t.window)
	if last := len(t.dst) - 1; last >= t.start {
		if r := &t.dst[last]; r.First+Offset(r.Count) == first && r.Attempts == attempts {
			r.Count += n
			return
		}
	}
	t.dst = append(t.dst, Run{first, n, attempts})
}

// discard reports, at random, that a message is not in the session's sample.
func (t *turn) discard() bool {
	if t.s.sample == 0 || t.sampled >= maxSampled {
		return false
	}
	const fair = 1<<32 - 1<<32%100 // below it, all remainders are equally likely
	v := t.options.Rand()
	for tries := 0; uint64(v) >= fair && tries < 32; tries++ {
		v = t.options.Rand()
	}
	if v%100 < t.s.sample {
		return false
	}
	t.sampled++
	t.counts.Sampled++
	return true
}

// anyReady reports whether a session could take anything.
func (q *dispatch) anyReady(now Now, end Offset) bool {
	if q.cursor.paused {
		return false
	}
	q.schedule.advance(now)
	end = q.reach(end)
	if _, due := q.schedule.firstReady(end); due {
		return true
	}
	return q.freshReady(end)
}

// freshReady reports whether a message below end that was never delivered may be delivered now.
func (q *dispatch) freshReady(end Offset) bool { return !q.stalled() && q.seekFresh(end) }

// stalled reports whether the channel reads no fresh messages because too much is unfinished.
func (q *dispatch) stalled() bool {
	return q.room() <= 0 || q.cursor.finished.mixed >= maxMixedPages || q.window.read >= q.cursor.floor+maxSpan
}

// room returns how many fresh messages may be read until too much is unfinished.
func (q *dispatch) room() int { return q.options.MaxUnfinished - q.window.len() - q.schedule.list.n }

// seekFresh moves the read position over what is recorded as finished or waiting, and reports whether it found a fresh
// message below end.
func (q *dispatch) seekFresh(end Offset) bool {
	for q.window.read < end {
		if q.window.read < q.freshTo {
			return true
		}
		read := q.window.read
		next := q.settled.nextUnset(q.cursor.waiting.runEnd(q.cursor.finished.nextUnset(read)))
		if next > read {
			q.window.extend(min(next, end))
			q.settled.dropBelow(q.window.read)
			continue
		}
		q.freshTo = maxOffset
		if off, ok := q.cursor.finished.nextSet(read); ok {
			q.freshTo = off
		}
		if off, ok := q.cursor.waiting.next(read); ok {
			q.freshTo = min(q.freshTo, off)
		}
		if off, ok := q.settled.nextSet(read); ok {
			q.freshTo = min(q.freshTo, off)
		}
	}
	return false
}
