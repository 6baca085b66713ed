package queue

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// ErrMalformed means that an encoded delta or state does not follow its format: damage that a checksum did not see, or
// bytes of something else.
var ErrMalformed = errors.New("malformed channel state")

// deltaVersion is the first byte of a delta.
const deltaVersion = 1

// A change is what deltas and states consist of (docs/format/channel-state.md): runs of finished offsets, then waits,
// each in offset order.
//
//	runs:   { length > 0, gap from the end of the run before }*, 0
//	waits:  { gap from the offset after the one before, attempts, due in ms as zigzag difference }*  to the end
type changeWriter struct {
	dst  []byte
	next record.Offset // where the next gap is counted from
	due  int64
}

func (w *changeWriter) run(from, to record.Offset) {
	w.dst = binary.AppendUvarint(w.dst, uint64(to-from))
	w.dst = binary.AppendUvarint(w.dst, uint64(from-w.next))
	w.next = to
}

func (w *changeWriter) endRuns() {
	w.dst = append(w.dst, 0)
	w.next = 0
}

func (w *changeWriter) wait(off record.Offset, v wait) {
	w.dst = binary.AppendUvarint(w.dst, uint64(off-w.next))
	w.dst = binary.AppendUvarint(w.dst, uint64(v.attempts))
	w.dst = binary.AppendVarint(w.dst, v.dueMs-w.due)
	w.next, w.due = off+1, v.dueMs
}

// maxRunBytes and maxWaitBytes bound one run and one wait as encoded: offsets have 48 bits.
const (
	maxRunBytes  = 7 + 7
	maxWaitBytes = 7 + 3 + 8
)

// A changeReader decodes a change, one item a call. After an error it stays at the end.
type changeReader struct {
	src  []byte
	next record.Offset
	due  int64
	err  error
}

func (r *changeReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s, %d bytes before the end", ErrMalformed, what, len(r.src))
	}
	r.src = nil
}

func (r *changeReader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 || v > limit {
		r.fail("bad number")
		return 0
	}
	r.src = r.src[n:]
	return v
}

// run returns the next run of finished offsets; false after the last, and then the waits follow.
func (r *changeReader) run() (from, to record.Offset, ok bool) {
	n := r.uvarint(uint64(maxOffset))
	if n == 0 {
		r.next = 0
		return 0, 0, false
	}
	from = r.next + record.Offset(r.uvarint(uint64(maxOffset)))
	to = from + record.Offset(n)
	if r.err == nil && to > maxOffset {
		r.fail("offset out of range")
	}
	r.next = to
	return from, to, r.err == nil
}

// wait returns the next wait; false at the end.
func (r *changeReader) wait() (off record.Offset, w wait, ok bool) {
	if len(r.src) == 0 {
		return 0, wait{}, false
	}
	off = r.next + record.Offset(r.uvarint(uint64(maxOffset)))
	w.attempts = uint16(r.uvarint(maxAttempts))
	diff, n := binary.Varint(r.src)
	if n <= 0 {
		r.fail("bad due time")
		return 0, wait{}, false
	}
	r.src = r.src[n:]
	if diff < -maxDueMs || diff > maxDueMs || r.due+diff < 0 || r.due+diff > maxDueMs {
		r.fail("due time out of range")
	}
	if off >= maxOffset {
		r.fail("offset out of range")
	}
	w.dueMs = r.due + diff
	r.next, r.due = off+1, w.dueMs
	return off, w, r.err == nil
}

// readDelta calls finish and requeue for what a delta holds.
func readDelta(delta []byte, finish func(from, to record.Offset), requeue func(record.Offset, wait)) error {
	if len(delta) == 0 || delta[0] != deltaVersion {
		return fmt.Errorf("%w: unknown version of a delta", ErrMalformed)
	}
	r := changeReader{src: delta[1:]}
	for from, to, ok := r.run(); ok; from, to, ok = r.run() {
		finish(from, to)
	}
	for off, w, ok := r.wait(); ok; off, w, ok = r.wait() {
		requeue(off, w)
	}
	return r.err
}

// checkDelta returns an error if the delta is malformed or would make the cursor's span too large.
func (c *cursor) checkDelta(delta []byte) error {
	var highest record.Offset
	err := readDelta(delta, func(_, to record.Offset) { highest = max(highest, to) }, func(record.Offset, wait) {})
	if err != nil {
		return err
	}
	return c.checkSpan(highest)
}
