package hostile

import (
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// poison is what a reader writes over a batch to which its caller has no right any more.
const poison = 0xDB

// reader reads one log. It copies each batch into a buffer of its own, and poisons that at the next call.
type reader struct {
	log    *Log
	buffer []byte
}

// NewReader returns a Reader.
func (l *Log) NewReader() broker.Reader { return &reader{log: l} }

// Batch returns a copy of the batch that holds offset.
func (r *reader) Batch(offset record.Offset) (record.Batch, int64, error) {
	r.Release()
	l := r.log
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	if l.mu.closed {
		return nil, 0, l.wrap(broker.ErrClosed)
	}
	if offset < 0 || offset >= l.mu.next {
		return nil, 0, fmt.Errorf("read %v at %d, which ends at %d: %w", l, offset, l.mu.next, broker.ErrOffsetOutOfRange)
	}
	batch, at, ok := l.disk.findLocked(offset)
	if !ok {
		return nil, 0, fmt.Errorf("read %v at %d, neither kept nor carried: %w", l, offset, broker.ErrOffsetOutOfRange)
	}
	r.buffer = slices.Clone(batch)
	l.held.Add(1)
	return r.buffer, at, nil
}

// Rest ends the right to the last batch, too.
func (r *reader) Rest() { r.Release() }

// Release poisons the last batch.
func (r *reader) Release() {
	if r.buffer == nil {
		return
	}
	for i := range r.buffer {
		r.buffer[i] = poison
	}
	r.buffer = nil
	r.log.held.Add(-1)
}

// Held returns how many readers of the log hold a batch.
func (l *Log) Held() int { return int(l.held.Load()) }

// findLocked returns the batch that holds offset: the message's own, or if its segment is gone the newest carried one.
func (d *disk) findLocked(offset record.Offset) (record.Batch, int64, bool) {
	if offset < d.segments[0].first {
		return d.carriedLocked(offset)
	}
	for _, s := range d.segments {
		if offset >= s.next {
			continue
		}
		// The first entry that ends above offset. It is a batch: no other kind moves the end.
		i, _ := slices.BinarySearchFunc(s.entries, offset, func(e *record.Entry, o record.Offset) int {
			return int(e.Next() - o - 1)
		})
		return s.entries[i].Payload, s.entries[i].Time, true
	}
	return nil, 0, false
}
