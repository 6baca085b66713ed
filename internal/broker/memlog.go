package broker

import (
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// memLog is the log of an ephemeral topic: it lives in memory, commits at once, and keeps only the newest messages.
//
// Concurrency: mu guards the state. Proposals queue up in pending, and the goroutine that finds nobody working commits them all
// in order, outside the mutex.
type memLog struct {
	machine    Machine
	bound      int   // messages kept
	boundBytes int64 // of their batches; the newest batch is kept whatever its size

	mu struct {
		sync.Mutex
		pending []*Proposal
		working bool
		closed  bool
		batches []memBatch // oldest first
		bytes   int64      // of batches
		start   record.Offset
		next    record.Offset
		index   record.Index
	}
}

type memBatch struct {
	batch record.Batch
	time  int64
}

var _ Log = (*memLog)(nil)

func newMemLog(m Machine, bound int, boundBytes int64) *memLog {
	return &memLog{machine: m, bound: bound, boundBytes: boundBytes}
}

// Start implements Log.
func (l *memLog) Start(record.Index) error {
	l.machine.Lead(true)
	return nil
}

// Propose implements Log.
func (l *memLog) Propose(p *Proposal) {
	l.mu.Lock()
	l.mu.pending = append(l.mu.pending, p)
	if l.mu.working {
		l.mu.Unlock()
		return
	}
	l.mu.working = true
	for len(l.mu.pending) > 0 {
		p := l.mu.pending[0]
		l.mu.pending = l.mu.pending[1:]
		e := l.commitLocked(p)
		l.mu.Unlock()
		if p.Err == nil {
			l.machine.Apply(&e)
		}
		if p.Owner != nil {
			p.Owner.Proposed(p)
		}
		l.mu.Lock()
	}
	l.mu.pending, l.mu.working = nil, false
	l.mu.Unlock()
}

// commitLocked appends one proposal, or refuses it in p.Err.
func (l *memLog) commitLocked(p *Proposal) record.Entry {
	if l.mu.closed {
		p.Err = ErrClosed
		return record.Entry{}
	}
	l.mu.index++
	e := record.Entry{Kind: p.Kind, Flags: p.Flags, Term: 1, Index: l.mu.index, Base: l.mu.next, Time: time.Now().UnixNano(), Payload: p.Payload}
	p.Base, p.Index = e.Base, e.Index
	if p.Kind == record.KindBatch {
		b := record.Batch(p.Payload)
		b.Stamp(e.Base, 1)
		l.mu.batches = append(l.mu.batches, memBatch{b, e.Time})
		l.mu.bytes += int64(len(b))
		l.mu.next = e.Next()
		l.trimLocked()
	}
	return e
}

// trimLocked drops the oldest batches that the bounds leave no room for.
func (l *memLog) trimLocked() {
	drop := 0
	for drop < len(l.mu.batches)-1 {
		enough := l.mu.next-l.mu.batches[drop+1].batch.BaseOffset() >= record.Offset(l.bound)
		if !enough && l.mu.bytes <= l.boundBytes {
			break
		}
		l.mu.bytes -= int64(len(l.mu.batches[drop].batch))
		drop++
	}
	if drop > 0 {
		clear(l.mu.batches[:drop]) // appending moves the rest, now and then
		l.mu.batches = l.mu.batches[drop:]
		l.mu.start = l.mu.batches[0].batch.BaseOffset()
	}
}

// Bounds implements Log.
func (l *memLog) Bounds() (start, end record.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.start, l.mu.next
}

// NewReader implements Log.
func (l *memLog) NewReader() Reader { return (*memReader)(l) }

// Checkpoint implements Log: there is never one.
func (l *memLog) Checkpoint() ([]byte, record.Index, error) { return nil, 0, nil }

// SaveCheckpoint implements Log.
func (l *memLog) SaveCheckpoint([]byte, record.Index) error { return nil }

// Segments implements Log.
func (l *memLog) Segments() []Segment { return nil }

// Roll implements Log.
func (l *memLog) Roll() error { return nil }

// Trim implements Log.
func (l *memLog) Trim(record.Offset) error { return nil }

// Close implements Log.
func (l *memLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	l.mu.batches, l.mu.bytes = nil, 0
	l.mu.start = l.mu.next
	return nil
}

type memReader memLog

// Batch implements Reader.
func (r *memReader) Batch(offset record.Offset) (record.Batch, int64, error) {
	l := (*memLog)(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	i, found := slices.BinarySearchFunc(l.mu.batches, offset, func(b memBatch, o record.Offset) int {
		return int(b.batch.BaseOffset() - o)
	})
	if !found {
		i--
	}
	if i < 0 || offset >= l.mu.next {
		return nil, 0, ErrOffsetOutOfRange
	}
	return l.mu.batches[i].batch, l.mu.batches[i].time, nil
}

// Rest implements Reader.
func (r *memReader) Rest() {}

// Release implements Reader.
func (r *memReader) Release() {}
