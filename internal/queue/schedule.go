package queue

import "slices"

// A schedule orders the messages that wait, by due time and then by offset. Those due at or before dueTo are ready; dueTo
// follows the wall clock, but never goes back.
type schedule struct {
	list  pairList // key: due in ms, value: offset << 16 | attempts
	dueTo int64
	ready int // how many are due
}

func newSchedule(waiting *waitingSet, now Now) schedule {
	pairs := make([]pair, 0, waiting.len())
	waiting.each(func(off Offset, w wait) bool {
		pairs = append(pairs, scheduled(off, w))
		return true
	})
	slices.SortFunc(pairs, comparePairs)
	s := schedule{dueTo: -1}
	s.list.fill(pairs)
	s.advance(now)
	return s
}

func scheduled(off Offset, w wait) pair {
	return pair{w.dueMs, uint64(off)<<16 | uint64(w.attempts)}
}

func (s *schedule) add(off Offset, w wait) {
	s.list.insert(scheduled(off, w))
	if w.dueMs <= s.dueTo {
		s.ready++
	}
}

// advance moves the clock and returns how many became due.
func (s *schedule) advance(now Now) int {
	if now.ms() <= s.dueTo {
		return 0
	}
	before := s.ready
	for at := s.list.seek(pair{key: s.dueTo + 1}); ; at = s.list.next(at) {
		p, ok := s.list.at(at)
		if !ok || p.key > now.ms() {
			break
		}
		s.ready++
	}
	s.dueTo = now.ms()
	return s.ready - before
}

// waiting returns how many are not due yet.
func (s *schedule) waiting() int { return s.list.n - s.ready }

// nextDue returns when the next that is not ready becomes due.
func (s *schedule) nextDue() (dueMs int64, ok bool) {
	p, ok := s.list.at(s.list.seek(pair{key: s.dueTo + 1}))
	return p.key, ok
}

// firstReady returns the place of the first ready message below end.
func (s *schedule) firstReady(end Offset) (at place, ok bool) {
	for {
		p, some := s.list.at(at)
		if !some || p.key > s.dueTo {
			return at, false
		}
		if Offset(p.value>>16) < end {
			return at, true
		}
		at = s.list.next(at)
	}
}

// take removes the ready message at a place.
func (s *schedule) take(at place) (off Offset, attempts uint16) {
	p, _ := s.list.at(at)
	s.list.remove(at)
	s.ready--
	return Offset(p.value >> 16), uint16(p.value)
}

func (s *schedule) dropBelow(off Offset) {
	s.ready = 0
	s.list.keep(func(p pair) bool {
		wanted := Offset(p.value>>16) >= off
		if wanted && p.key <= s.dueTo {
			s.ready++
		}
		return wanted
	})
}
