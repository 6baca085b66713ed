package queue

import "github.com/weirmq/weir/internal/record"

const (
	// maxDueMs bounds due times: 48 bits of Unix milliseconds, the year 10889.
	maxDueMs = 1<<48 - 1
	// maxAttempts is where the count of attempts stops: NSQ's wire format has 16 bits for it.
	maxAttempts = 1<<16 - 1
)

// A wait says of a message that it was requeued or deferred: how often it has been delivered, and when it is due.
type wait struct {
	attempts uint16
	dueMs    int64 // Unix ms, 0 to maxDueMs
}

func (w wait) pack() uint64 { return uint64(w.dueMs)<<16 | uint64(w.attempts) }

func unpackWait(v uint64) wait { return wait{attempts: uint16(v), dueMs: int64(v >> 16)} }

// A waitingSet maps offsets to waits, in offset order: 12 to 15 bytes each. The zero value is empty.
type waitingSet struct {
	list pairList // key: offset, value: wait.pack
}

func (s *waitingSet) len() int { return s.list.n }

func (s *waitingSet) get(off record.Offset) (wait, bool) {
	p, ok := s.list.at(s.list.seek(pair{key: int64(off)}))
	if !ok || p.key != int64(off) {
		return wait{}, false
	}
	return unpackWait(p.value), true
}

func (s *waitingSet) set(off record.Offset, w wait) {
	at := s.list.seek(pair{key: int64(off)})
	if p, ok := s.list.at(at); ok && p.key == int64(off) {
		s.list.set(at, w.pack())
		return
	}
	s.list.insert(pair{int64(off), w.pack()})
}

func (s *waitingSet) remove(off record.Offset) {
	at := s.list.seek(pair{key: int64(off)})
	if p, ok := s.list.at(at); ok && p.key == int64(off) {
		s.list.remove(at)
	}
}

// removeRange removes what lies in [from, to).
func (s *waitingSet) removeRange(from, to record.Offset) {
	for s.list.n > 0 {
		at := s.list.seek(pair{key: int64(from)})
		if p, ok := s.list.at(at); !ok || p.key >= int64(to) {
			return
		}
		s.list.remove(at)
	}
}

// next returns the lowest offset in the set at or above off.
func (s *waitingSet) next(off record.Offset) (record.Offset, bool) {
	p, ok := s.list.at(s.list.seek(pair{key: int64(off)}))
	return record.Offset(p.key), ok
}

// runEnd returns the end of the run of consecutive offsets in the set that begins at off; off if it is not in the set.
func (s *waitingSet) runEnd(off record.Offset) record.Offset {
	for at := s.list.seek(pair{key: int64(off)}); ; at = s.list.next(at) {
		if p, ok := s.list.at(at); !ok || p.key != int64(off) {
			return off
		}
		off++
	}
}

// countRange returns how many offsets of the set lie in [from, to).
func (s *waitingSet) countRange(from, to record.Offset) int {
	return max(0, s.list.countBelow(int64(to))-s.list.countBelow(int64(from)))
}

func (s *waitingSet) dropBelow(off record.Offset) { s.list.dropBelow(int64(off)) }

// each calls fn in offset order until it returns false.
func (s *waitingSet) each(fn func(record.Offset, wait) bool) {
	for p := range s.list.all() {
		if !fn(record.Offset(p.key), unpackWait(p.value)) {
			return
		}
	}
}
