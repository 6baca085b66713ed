package commitlog

import (
	"cmp"
	"errors"
	"fmt"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

// Read-ahead of a Reader in bytes: it begins small and doubles while batches are read one after another. What a resting Reader
// keeps is no more than maxAheadBytes, and stays in a processor's own cache while it is used.
const (
	minAheadBytes = 16 << 10
	maxAheadBytes = 128 << 10
)

// maxRestingBytes bounds the buffers of all resting Readers of a store: a backlog has few consumers that are at work, or many
// that are stuck.
const maxRestingBytes = 8 << 20

// Reader reads batches by offset: from the tail cache, else from the segments. It has a buffer of its own, so it belongs to one
// goroutine at a time.
type Reader struct {
	log  *Log
	seg  *segment  // whose frames sc reads; nil if none
	file *openFile // of seg; nil while the reader rests
	sc   scanner

	// The batch returned last, if it is in sc's buffer.
	base, next record.Offset
	time       int64
	payload    []byte

	// The carry entry read last.
	carryIndex record.Index
	carry      []byte

	resting int64 // bytes of buffers that count in store.resting
}

// NewReader returns a Reader. It costs nothing until it has to read a file.
func (l *Log) NewReader() *Reader { return &Reader{log: l} }

// Batch returns the batch that holds offset, and its append time in Unix ns. end is the high watermark: offsets from it on do
// not exist for the reader. Carried messages come in a batch with gaps. The batch is shared or in the reader's buffer: it must
// not be changed, and is valid until the next call of Batch, Rest or Release. Errors: ErrOffsetOutOfRange, ErrClosed, a
// *LostError (of a log that was repaired, also for what is trimmed and not carried), or a *DamageError.
func (r *Reader) Batch(offset, end record.Offset) (record.Batch, int64, error) {
	r.wake()
	if offset >= end || offset < 0 {
		return nil, 0, r.log.outOfRange(offset)
	}
	if offset < r.log.start() { // the cache may still hold it, but what is trimmed is gone
		return r.carried(offset)
	}
	if b, time := r.log.store.cache.get(&r.log.cached, offset); b != nil {
		return b, time, nil
	}
	if r.payload != nil && r.base <= offset && offset < r.next && !r.seg.gone.Load() {
		return r.payload, r.time, nil
	}
	for {
		s, pos, limit, err := r.log.locateOffset(offset)
		if err == errCarried {
			return r.carried(offset)
		}
		if err == nil {
			if err = r.read(s, pos, limit, offset); err == nil {
				return r.payload, r.time, nil
			}
			r.Release()
		}
		if s == nil || !s.gone.Load() {
			return nil, 0, r.log.readError(err)
		}
	}
}

// readError is ErrClosed if the log was closed meanwhile, for then its files may be gone; else err.
func (l *Log) readError(err error) error {
	if closed := l.Err(); errors.Is(closed, ErrClosed) {
		return closed
	}
	return err
}

// Rest gives back the reader's file, and its buffer if that is large or many readers rest; what a small one holds is not read again.
// Batch ends the rest.
func (r *Reader) Rest() {
	r.wake()
	bytes := int64(cap(r.sc.buf) + len(r.carry))
	if bytes > maxAheadBytes {
		r.Release()
		return
	}
	r.resting = bytes
	if r.log.store.resting.Add(bytes) > maxRestingBytes {
		r.Release()
		return
	}
	r.drop()
}

// wake ends a rest.
func (r *Reader) wake() {
	if r.resting > 0 {
		r.log.store.resting.Add(-r.resting)
		r.resting = 0
	}
}

// drop gives back the file.
func (r *Reader) drop() {
	if r.file != nil {
		r.log.store.files.release(r.file)
		r.file, r.sc.file = nil, nil
	}
}

// Release gives back the reader's buffer and file. The reader can be used again.
func (r *Reader) Release() {
	r.wake()
	r.drop()
	*r = Reader{log: r.log}
}

// read finds the batch with offset in s, from pos on. What it returned before is no longer valid.
func (r *Reader) read(s *segment, pos, limit int64, offset record.Offset) error {
	follows := r.payload != nil && r.seg == s && offset >= r.next && pos <= r.sc.pos
	r.payload = nil
	if r.seg != s {
		r.drop()
		r.seg = s
		r.sc.reset(nil, s.seed, pos, limit)
	}
	if r.file == nil {
		f, err := r.log.store.files.acquire(s)
		if err != nil {
			return err
		}
		r.file, r.sc.file = f, f.file
	}
	r.sc.limit = limit
	if follows {
		r.sc.ahead = min(2*r.sc.ahead, maxAheadBytes)
	} else {
		r.sc.pos, r.sc.ahead = pos, minAheadBytes
	}
	for {
		f, err := r.sc.next()
		if err != nil {
			return s.scanError(&r.sc, err)
		}
		if f.kind == kindLost && f.base > offset {
			return &LostError{First: offset, Next: f.base}
		}
		if f.kind != record.KindBatch {
			continue
		}
		e := f.entry(f.payload)
		if e.Base > offset {
			return s.damage(f.pos, fmt.Sprintf("the batch with offset %d is missing before it", offset))
		}
		if next := e.Next(); offset < next {
			r.base, r.next, r.time, r.payload = e.Base, next, e.Time, e.Payload
			return nil
		}
	}
}

// carried reads a message below the start of the log from the carry entry that repeats it.
func (r *Reader) carried(offset record.Offset) (record.Batch, int64, error) {
	index, err := r.carryOf(offset)
	if err != nil {
		return nil, 0, err
	}
	var batch record.Batch
	var at int64
	err = eachCarried(r.carry, func(time int64, b record.Batch) bool {
		if b.BaseOffset() <= offset && offset <= b.LastOffset() {
			batch, at = b, time
		}
		return batch == nil
	})
	if batch == nil {
		return nil, 0, fmt.Errorf("log %v: offset %d in carry entry %d: %w", r.log.id, offset, index, cmp.Or(err, errCarry))
	}
	return batch, at, nil
}

// carryOf makes the carry entry with offset the one read last, and returns its index.
func (r *Reader) carryOf(offset record.Offset) (record.Index, error) {
	for before := record.Index(0); ; {
		r.log.mu.Lock()
		index := r.log.mu.carried.find(offset)
		r.log.mu.Unlock()
		switch {
		case index == 0 && r.log.repaired:
			return 0, &LostError{First: offset, Next: offset + 1}
		case index == 0 || index == before:
			return 0, r.log.outOfRange(offset)
		case index == r.carryIndex:
			return index, nil
		}
		entries, err := r.log.Entries(index, index+1, 0)
		switch {
		case errors.Is(err, ErrCompacted):
			before = index // trimmed just now: the message may have been carried on
			continue
		case err != nil:
			return 0, r.log.readError(err)
		case len(entries) == 0:
			return 0, &LostError{First: offset, Next: offset + 1}
		}
		r.carryIndex, r.carry = index, entries[0].Payload
		return index, nil
	}
}

// errCarried means that an offset lies below the log's segments.
var errCarried = errors.New("below the start of the log")

// locateOffset returns the segment that holds an offset, a position at or before its batch, and where the segment ends. With an
// error of the segment's it returns the segment, too: if that is gone, the caller looks again.
func (l *Log) locateOffset(offset record.Offset) (*segment, int64, int64, error) {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil, 0, 0, fmt.Errorf("log %v: %w", l.id, ErrClosed)
	}
	if offset >= l.mu.end.next {
		l.mu.Unlock()
		return nil, 0, 0, l.outOfRange(offset)
	}
	// Of segments that begin at one offset, the last holds it: the others hold control entries only.
	i := sort.Search(len(l.mu.segments), func(i int) bool { return l.mu.segments[i].before.next > offset }) - 1
	if i < 0 {
		l.mu.Unlock()
		return nil, 0, 0, errCarried
	}
	s := l.mu.segments[i]
	limit := s.end
	if s.index != nil {
		defer l.mu.Unlock()
		return s, s.index.byOffset(offset), limit, nil
	}
	l.mu.Unlock()
	x, err := l.store.indexes.get(s)
	if err != nil {
		return s, 0, 0, err
	}
	return s, x.byOffset(offset), limit, nil
}

func (l *Log) outOfRange(offset record.Offset) error {
	return fmt.Errorf("log %v: offset %d: %w", l.id, offset, ErrOffsetOutOfRange)
}
