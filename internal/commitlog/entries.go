package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

// Replay calls fn with all entries above index, in order, and stops with fn's first error. The entry is fn's to keep. Indexes
// that Repair gave up are left out. Replay also completes the table of carried messages. Errors: ErrCompacted if entries above
// index are deleted, or a *DamageError.
func (l *Log) Replay(above record.Index, fn func(*record.Entry) error) error {
	b := l.Bounds()
	if above+1 < b.FirstIndex {
		return fmt.Errorf("log %v: replay above %d, the oldest entry is %d: %w", l.id, above, b.FirstIndex, ErrCompacted)
	}
	return l.walk(above+1, b.LastIndex+1, func(f *frame) error {
		e := f.entry(bytes.Clone(f.payload))
		if e.Kind == record.KindCarry {
			l.mu.Lock()
			err := l.mu.carried.add(&e)
			l.mu.Unlock()
			if err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
		}
		return fn(&e)
	})
}

// Entries returns the entries [lo, hi) as far as their payloads fit into maxBytes, but one at least. The caller owns them.
// Errors: ErrCompacted if lo is deleted, ErrOffsetOutOfRange if hi is beyond the last entry, or a *DamageError.
func (l *Log) Entries(lo, hi record.Index, maxBytes int) ([]record.Entry, error) {
	b := l.Bounds()
	switch {
	case lo < b.FirstIndex:
		return nil, fmt.Errorf("log %v: entry %d, the oldest is %d: %w", l.id, lo, b.FirstIndex, ErrCompacted)
	case hi > b.LastIndex+1:
		return nil, fmt.Errorf("log %v: entries up to %d, the newest is %d: %w", l.id, hi, b.LastIndex, ErrOffsetOutOfRange)
	}
	var out []record.Entry
	total := 0
	err := l.walk(lo, hi, func(f *frame) error {
		if total += f.length; len(out) > 0 && total > maxBytes {
			return errEnough
		}
		out = append(out, f.entry(bytes.Clone(f.payload)))
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return out, err
}

var errEnough = errors.New("enough")

// Term returns the term of an entry, also of the one before the oldest. Errors: ErrCompacted, ErrOffsetOutOfRange, damage.
func (l *Log) Term(index record.Index) (record.Term, error) {
	l.mu.Lock()
	first, end := l.firstIndexLocked(), l.mu.end
	if index == end.index {
		l.mu.Unlock()
		return end.term, nil
	}
	if index+1 < first || index > end.index {
		l.mu.Unlock()
		if index > end.index {
			return 0, fmt.Errorf("log %v: entry %d, the newest is %d: %w", l.id, index, end.index, ErrOffsetOutOfRange)
		}
		return 0, fmt.Errorf("log %v: entry %d, the oldest is %d: %w", l.id, index, first, ErrCompacted)
	}
	s := l.mu.segments[max(0, l.segmentOfLocked(index))]
	switch {
	case index+1 == s.base:
		l.mu.Unlock()
		return s.before.term, nil
	case s.before.term == s.last.term:
		l.mu.Unlock()
		return s.last.term, nil
	case s.index != nil:
		defer l.mu.Unlock()
		return s.index.term(index), nil
	}
	l.mu.Unlock()
	x, err := l.store.indexes.get(s)
	if err != nil && s.gone.Load() {
		return l.Term(index)
	}
	if err != nil {
		return 0, err
	}
	return x.term(index), nil
}

// segmentOfLocked returns the position in segments of the one that holds index; -1 if it lies before the first.
func (l *Log) segmentOfLocked(index record.Index) int {
	return sort.Search(len(l.mu.segments), func(i int) bool { return l.mu.segments[i].base > index }) - 1
}

// walk calls fn with the frames of the entries [lo, hi), which exist. Frames are valid during the call.
func (l *Log) walk(lo, hi record.Index, fn func(*frame) error) error {
	sc := scanner{ahead: scanAheadBytes}
	var stopped error
	each := func(f *frame) error {
		stopped = fn(f)
		return stopped
	}
	for lo < hi {
		s, pos, limit, err := l.locate(lo)
		if err == nil {
			lo, err = l.walkSegment(&sc, s, pos, limit, lo, hi, each)
		}
		if stopped != nil {
			return stopped
		}
		if err != nil && (s == nil || !s.gone.Load()) {
			return l.readError(err)
		}
	}
	return nil
}

// walkSegment is walk within one segment. It returns the first index that is left to do.
func (l *Log) walkSegment(sc *scanner, s *segment, pos, limit int64, lo, hi record.Index, fn func(*frame) error) (record.Index, error) {
	f, err := l.store.files.acquire(s)
	if err != nil {
		return lo, err
	}
	defer l.store.files.release(f)
	l.mu.Lock()
	next := s.last.index + 1
	l.mu.Unlock()
	sc.reset(f.file, s.seed, pos, limit)
	for lo < min(hi, next) {
		fr, err := sc.next()
		if err != nil {
			return lo, s.scanError(sc, err)
		}
		if fr.kind == kindMark || fr.index < lo {
			continue
		}
		if fr.kind == kindLost {
			lo = fr.index + 1
			continue
		}
		if err := fn(&fr); err != nil {
			return lo, err
		}
		lo++
	}
	return lo, nil
}

// locate returns the segment that holds an entry, a position at or before its frame, and where the segment ends. With an error
// of the segment's it returns the segment, too: if that is gone, the caller looks again.
func (l *Log) locate(index record.Index) (*segment, int64, int64, error) {
	l.mu.Lock()
	i := l.segmentOfLocked(index)
	if i < 0 {
		l.mu.Unlock()
		return nil, 0, 0, fmt.Errorf("log %v: entry %d: %w", l.id, index, ErrCompacted)
	}
	s := l.mu.segments[i]
	limit := s.end
	if s.index != nil {
		defer l.mu.Unlock()
		return s, s.index.byIndex(index), limit, nil
	}
	l.mu.Unlock()
	x, err := l.store.indexes.get(s)
	if err != nil {
		return s, 0, 0, err
	}
	return s, x.byIndex(index), limit, nil
}
