package queue

import (
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

const (
	// maxOffset bounds offsets: a message id has 48 bits for them.
	maxOffset record.Offset = 1 << 48
	// maxSpan bounds how far above its floor a channel reads and finishes: 68 thousand million messages behind the oldest
	// unfinished one. It bounds the directory of the finished set to 4 MiB.
	maxSpan record.Offset = 1 << 36
	// maxMixedPages bounds the bitmaps of the finished set to 128 MiB: beyond, a channel stops reading ahead.
	maxMixedPages = 1 << 18
)

// A cursor is the durable part of a channel. Equal changes in equal order make equal cursors.
type cursor struct {
	floor    record.Offset // everything below is finished
	finished offsetSet     // above floor
	waiting  waitingSet    // at or above floor and not finished
	paused   bool
}

// isFinished reports whether off is recorded as finished.
func (c *cursor) isFinished(off record.Offset) bool {
	return off < c.floor || c.finished.contains(off)
}

// finish records [from, to) as finished.
func (c *cursor) finish(from, to record.Offset) {
	from = max(from, c.floor)
	if from >= to {
		return
	}
	c.waiting.removeRange(from, to)
	if from > c.floor {
		c.finished.addRange(from, to)
		return
	}
	c.raise(to)
}

// raise moves the floor to off or to the first unfinished offset above it.
func (c *cursor) raise(off record.Offset) {
	c.floor = c.finished.nextUnset(max(off, c.floor))
	c.finished.dropBelow(c.floor)
	c.waiting.dropBelow(c.floor)
}

// requeue records that off waits. An attempt once recorded is never taken back: a change that comes late loses.
func (c *cursor) requeue(off record.Offset, w wait) {
	if c.isFinished(off) {
		return
	}
	if old, ok := c.waiting.get(off); ok && old.attempts > w.attempts {
		return
	}
	c.waiting.set(off, w)
}

// countUnfinished returns how many offsets in [from, to) are not finished.
func (c *cursor) countUnfinished(from, to record.Offset) int {
	from = max(from, c.floor)
	if from >= to {
		return 0
	}
	return int(to-from) - c.finished.countRange(from, to)
}

// checkSpan returns an error if a change may not finish offsets up to end.
func (c *cursor) checkSpan(end record.Offset) error {
	if end > c.floor+maxSpan {
		return fmt.Errorf("%w: offset %d is too far above the floor %d", ErrMalformed, end-1, c.floor)
	}
	return nil
}
