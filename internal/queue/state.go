package queue

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/record"
)

const (
	// stateVersion is the first byte of an encoded state.
	stateVersion = 1
	// statePaused is a bit of the second byte.
	statePaused = 1
	// usualWaitBytes is what most waits take as encoded: one due within a day of the one before it.
	usualWaitBytes = 6
)

// AppendState appends the durable part of the channel, as docs/format/channel-state.md describes it. Equal states have
// equal encodings. It takes as long as the state is large, so a caller with a lock in hand should know that a million
// deferred messages encode to about 6 MB.
func (c *Channel) AppendState(dst []byte) []byte {
	cur := &c.cursor
	// Room at once for about all of it: growing by and by would leave several times as much garbage.
	dst = slices.Grow(dst, usualWaitBytes*cur.waiting.len())
	flags := byte(0)
	if cur.paused {
		flags |= statePaused
	}
	dst = binary.AppendUvarint(append(dst, stateVersion, flags), uint64(cur.floor))
	w := changeWriter{dst: dst}
	for from, ok := cur.finished.nextSet(cur.floor); ok; from, ok = cur.finished.nextSet(w.next) {
		w.run(from, cur.finished.nextUnset(from))
	}
	w.endRuns()
	cur.waiting.each(func(off record.Offset, v wait) bool {
		w.wait(off, v)
		return true
	})
	return w.dst
}

// Decode returns the channel whose state AppendState wrote. It does not keep p. The error wraps ErrMalformed. It takes at most
// 4 MiB, if what is finished reaches as far above the floor as it may, and about 1 KiB for each byte of p; nothing before all
// that is finished has been judged.
func Decode(p []byte, o Options) (*Channel, error) {
	if len(p) < 2 || p[0] != stateVersion || p[1]&^statePaused != 0 {
		return nil, fmt.Errorf("%w: unknown version of a state", ErrMalformed)
	}
	r := changeReader{src: p[2:]}
	c := New(record.Offset(r.uvarint(uint64(maxOffset))), o)
	c.cursor.paused = p[1]&statePaused != 0
	end, err := c.cursor.checkRuns(r)
	if err != nil {
		return nil, err
	}
	for from, to, ok := r.run(); ok; from, to, ok = r.run() {
		c.cursor.finished.reach(from, end-1) // the whole directory at the first
		c.cursor.finished.addRange(from, to)
	}
	for off, w, ok := r.wait(); ok; off, w, ok = r.wait() {
		if c.cursor.isFinished(off) {
			return nil, fmt.Errorf("%w: offset %d waits and is finished", ErrMalformed, off)
		}
		c.cursor.waiting.set(off, w)
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// checkRuns reads the runs of a state ahead and returns the end of the last one.
func (c *cursor) checkRuns(ahead changeReader) (end record.Offset, err error) {
	end = c.floor
	for from, to, ok := ahead.run(); ok; from, to, ok = ahead.run() {
		// Adjoining runs would be one, and one at the floor would have raised it.
		if from <= end {
			return 0, fmt.Errorf("%w: finished run at %d begins too low", ErrMalformed, from)
		}
		if err := c.checkSpan(to); err != nil {
			return 0, err
		}
		end = to
	}
	return end, ahead.err
}
