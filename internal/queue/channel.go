package queue

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// Errors of Finish, Requeue and Touch, in the words that NSQ's clients know.
var (
	ErrNotInFlight = errors.New("ID not in flight")
	ErrNotOwner    = errors.New("client does not own message")
)

// Defaults of Options.
const (
	DefaultMaxUnfinished = 4_000_000
	DefaultMaxMsgTimeout = 15 * time.Minute
)

// Offset is record.Offset, in this package's signatures.
type Offset = record.Offset

// Now is a moment. Mono is monotonic, in ns from any origin, and measures timeouts; Wall is Unix time in ns, and due times
// are compared with it.
type Now struct{ Mono, Wall int64 }

// ms returns the wall clock in whole milliseconds.
func (n Now) ms() int64 { return min(max(n.Wall/1e6, 0), maxDueMs) }

// Options are a channel's limits. The zero value stands for the defaults.
type Options struct {
	// MaxUnfinished is how many messages may be in flight, requeued or deferred before no fresh ones are read. 0 means
	// DefaultMaxUnfinished.
	MaxUnfinished int
	// MaxMsgTimeout is how long after its delivery Touch can keep a message in flight. 0 means DefaultMaxMsgTimeout.
	MaxMsgTimeout time.Duration
	// Rand returns uniform random numbers, for sampling. nil means math/rand/v2.
	Rand func() uint32
}

func (o Options) withDefaults() Options {
	if o.MaxUnfinished <= 0 {
		o.MaxUnfinished = DefaultMaxUnfinished
	}
	if o.MaxMsgTimeout <= 0 {
		o.MaxMsgTimeout = DefaultMaxMsgTimeout
	}
	if o.Rand == nil {
		o.Rand = rand.Uint32
	}
	return o
}

// A Channel is one channel of one partition. It is not safe for concurrent use.
type Channel struct {
	options Options
	cursor  cursor
	lead    *dispatch // nil while following
}

// New returns a channel for which everything below start is finished. It follows.
func New(start Offset, o Options) *Channel {
	return &Channel{options: o.withDefaults(), cursor: cursor{floor: start}}
}

// Floor returns the offset below which everything is recorded as finished.
func (c *Channel) Floor() Offset { return c.cursor.floor }

// Paused reports whether the channel is paused: it delivers nothing.
func (c *Channel) Paused() bool { return c.cursor.paused }

// Leading reports whether the channel is between Lead and Follow.
func (c *Channel) Leading() bool { return c.lead != nil }

// CountUnfinished returns how many offsets in [from, to) are not recorded as finished.
func (c *Channel) CountUnfinished(from, to Offset) int { return c.cursor.countUnfinished(from, to) }

// EachUnfinished calls fn, in order, for the offsets in [from, to) that are not recorded as finished, until it returns
// false.
func (c *Channel) EachUnfinished(from, to Offset, fn func(Offset) bool) {
	off := max(from, c.cursor.floor)
	for off = c.cursor.finished.nextUnset(off); off < to; off = c.cursor.finished.nextUnset(off + 1) {
		if !fn(off) {
			return
		}
	}
}

// ApplyDelta applies a committed delta. It does not keep delta. If the error, which wraps ErrMalformed, is not nil, then
// nothing was changed.
func (c *Channel) ApplyDelta(delta []byte) error {
	if err := c.cursor.checkDelta(delta); err != nil {
		return err
	}
	// It was read without an error just now.
	_ = readDelta(delta, c.cursor.finish, c.cursor.requeue)
	if c.lead != nil {
		c.lead.cursorChanged()
	}
	return nil
}

// ApplyDefer records that the message at off, just committed, is due at dueMs, in Unix milliseconds. While leading, the
// owner calls it before the end of what may be read moves beyond off.
func (c *Channel) ApplyDefer(off Offset, dueMs int64) {
	if _, known := c.cursor.waiting.get(off); known || c.cursor.isFinished(off) {
		return
	}
	w := wait{dueMs: min(max(dueMs, 0), maxDueMs)}
	c.cursor.waiting.set(off, w)
	if c.lead != nil {
		c.lead.deferred(off, w)
	}
}

// ApplyEmpty drops everything below end, what is in flight and what waits included. A later Finish of it gets
// ErrNotInFlight.
func (c *Channel) ApplyEmpty(end Offset) {
	if end <= c.cursor.floor {
		return
	}
	c.cursor.raise(end)
	if c.lead != nil {
		c.lead.emptied(end)
	}
}

// ApplySkip drops what lies from from on and below to, none of which was ever below the end that the channel may read to. What
// is older stays.
func (c *Channel) ApplySkip(from, to Offset) {
	c.cursor.finish(from, min(to, c.cursor.floor+maxSpan))
	if c.lead != nil {
		c.lead.cursorChanged()
	}
}

// ApplyPause pauses the channel or lets it go on.
func (c *Channel) ApplyPause(paused bool) { c.cursor.paused = paused }

// Lead builds the volatile part: from now on, everything that is not recorded as finished is delivered, with its recorded
// attempts and due time. It does nothing if the channel leads already.
func (c *Channel) Lead(now Now) {
	if c.lead == nil {
		c.lead = newDispatch(&c.cursor, c.options, now)
	}
}

// Follow drops the volatile part, with all sessions and everything that was not flushed.
func (c *Channel) Follow() { c.lead = nil }
