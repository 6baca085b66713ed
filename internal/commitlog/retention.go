package commitlog

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Segment describes one file of a log.
type Segment struct {
	First, Next record.Offset // of its messages: [First, Next)
	Bytes       int64         // of the file, without space written ahead
	LastTime    int64         // append time of its last entry, Unix ns; 0 if it is empty
	Sealed      bool          // it is not appended to any more
	Carries     bool          // it holds the latest copy of carried messages, which lie below First
}

// Segments lists the log's files, oldest first.
func (l *Log) Segments() []Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Segment, len(l.mu.segments))
	for i, s := range l.mu.segments {
		out[i] = Segment{First: s.before.next, Next: s.last.next, Bytes: s.end, Sealed: s.sealed}
		if !s.empty() {
			out[i].LastTime = s.last.time
		}
		out[i].Carries = l.mu.carried.within(s.base, s.last.index)
	}
	return out
}

// Roll ends the last segment if it holds entries, so that it can be trimmed, and begins an empty one. It is durable on return.
// Without room, or a descriptor, it fails with ErrFull, and nothing has changed.
func (l *Log) Roll() error {
	l.tailTurn.acquire()
	defer l.releaseTail()
	l.syncTurn.acquire()
	defer l.syncTurn.release()
	if err := l.syncAllTails(); err != nil {
		return err
	}
	l.mu.Lock()
	n := len(l.mu.segments)
	empty := n == 0 || l.mu.segments[n-1].empty()
	l.mu.Unlock()
	if empty {
		return nil
	}
	if err := l.store.withRoom(l.beginSegment); errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, vfs.ErrTooManyFiles) {
		return fmt.Errorf("log %v: roll: %w: %w", l.id, ErrFull, err)
	} else if err != nil {
		return l.fail(err)
	}
	return l.syncWritten()
}

// Trim deletes the oldest segments: those that are sealed, all of whose messages lie below the offset, and all of whose entries
// are covered by the stored checkpoints, also by the older one. The last segment stays. Messages below the offset that are
// still wanted must be in a carry entry of a segment that stays. The log's new beginning is durable on return; the space is
// freed in the background. It blocks for the disk.
func (l *Log) Trim(below record.Offset) error {
	l.keepTurn.acquire()
	defer l.keepTurn.release()
	l.mu.Lock()
	err := l.errLocked()
	n := l.trimmableLocked(below)
	segments := l.mu.segments
	l.mu.Unlock()
	if err != nil || n == 0 {
		return err
	}
	// The beginning is recorded before any file goes, so that files may go in any order.
	first := segments[n].base
	beginning := identity{id: l.id, first: first, repaired: l.repaired}
	if err := l.store.withRoom(func() error { return beginning.save(l.store.fs, l.dir) }); err != nil {
		return fmt.Errorf("log %v: record the beginning: %w", l.id, err)
	}
	l.mu.Lock()
	l.mu.segments = l.mu.segments[n:]
	l.mu.carried.keep(first, l.mu.end.index+1)
	l.mu.Unlock()
	for _, s := range segments[:n] {
		l.retire(s)
		if err := l.store.discard(s); err != nil {
			return fmt.Errorf("log %v: trim: %w", l.id, err)
		}
	}
	return nil
}

// trimmableLocked returns how many segments at the front may go.
func (l *Log) trimmableLocked(below record.Offset) int {
	if len(l.mu.states) == 0 {
		return 0
	}
	covered := l.mu.states[0]
	n := 0
	for n+1 < len(l.mu.segments) {
		s := l.mu.segments[n]
		if !s.sealed || s.fresh.Load() || s.last.next > below || s.last.index > covered {
			break
		}
		n++
	}
	return n
}

// retire makes readers look elsewhere for what was in s.
func (l *Log) retire(s *segment) {
	s.gone.Store(true)
	l.store.files.drop(s)
	l.store.indexes.drop(s)
}

func (l *Log) firstIndexLocked() record.Index {
	if len(l.mu.segments) == 0 {
		return l.mu.end.index + 1
	}
	return l.mu.segments[0].base
}
