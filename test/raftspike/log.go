package raftspike

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
)

// Log is one partition's log as a Raft group of one voter. It implements broker.Log, and commitlog.Source for the commit
// rounds.
//
// Concurrency: Propose may come from anywhere and only queues, under mu. The commit rounds, one at a time for a log, own
// the RawNode and all that goes with it; Start owns it before it kicks the first round.
type Log struct {
	logs          *Logs
	machine       broker.Machine
	store         *commitlog.Log
	hardStateName string

	mu          sync.Mutex
	idle        *sync.Cond // outstanding has become 0
	pending     []*broker.Proposal
	outstanding int // proposals taken and not answered
	closed      bool
	stuck       bool // the disk is full, with entries in Raft that cannot be taken back
	retry       bool // a proposal came since
	failed      error

	high   atomic.Int64 // high watermark
	looked bool         // Checkpoint was called before Start
	ledC   chan error   // Start waits here for the first leadership

	// Owned by the commit rounds.

	group  group
	former replica.Former
	taken  []*broker.Proposal // by the last Collect; all are answered by its Done, unless the disk is full
}

var (
	_ broker.Log       = (*Log)(nil)
	_ commitlog.Source = (*Log)(nil)
)

// Start implements broker.Log. It returns when the voter has elected itself and all earlier entries are applied.
func (l *Log) Start(above record.Index) error {
	if !l.looked { // the commitlog finds carried messages with its help
		if _, _, err := l.Checkpoint(); err != nil {
			return err
		}
	}
	if err := l.start(above); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	l.store.Kick()
	return <-l.ledC
}

// Propose implements broker.Log.
func (l *Log) Propose(p *broker.Proposal) {
	if err := l.admit(p); err != nil {
		p.Err = err
		answer(p)
	}
	l.store.Kick() // a refused one has what a full disk held back tried again
}

// admit queues p, or returns why not.
func (l *Log) admit(p *broker.Proposal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return l.failed
	case l.closed:
		return broker.ErrClosed
	case l.stuck:
		l.retry = true
		return broker.ErrFull
	}
	l.pending = append(l.pending, p)
	l.outstanding++
	return nil
}

func answer(p *broker.Proposal) {
	if p.Owner != nil {
		p.Owner.Proposed(p)
	}
}

// take moves waiting proposals out of pending until they have limitBytes; the last may exceed it.
func (l *Log) take(limitBytes int) []*broker.Proposal {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.pending) && size < limitBytes {
		size += len(l.pending[n].Payload)
		n++
	}
	l.taken = append(l.taken[:0], l.pending[:n]...)
	rest := copy(l.pending, l.pending[n:])
	clear(l.pending[rest:])
	l.pending = l.pending[:rest]
	return l.taken
}

// setStuck notes whether the disk is full.
func (l *Log) setStuck(stuck bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stuck = stuck
}

// Stuck tells whether Raft has entries for which the disk has no room.
func (l *Log) Stuck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stuck
}

// takeRetry tells whether the entries that a full disk refused should be tried again.
func (l *Log) takeRetry() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	retry := l.retry
	l.retry = false
	return retry
}

// waiting tells whether proposals are pending.
func (l *Log) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) > 0
}

// answered counts n proposals that were answered.
func (l *Log) answered(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outstanding -= n
	if l.outstanding == 0 {
		l.idle.Broadcast()
	}
}

// fail ends the log: what Raft has may or may not be on the disk, what waits is not.
func (l *Log) fail(err error) {
	final := fmt.Errorf("%w: %w", broker.ErrFailed, err)
	l.mu.Lock()
	first := l.failed == nil
	l.failed = final
	waiting := l.pending
	l.pending = nil
	l.mu.Unlock()
	if first {
		l.machine.Failed(final)
	}
	n := len(waiting) + l.group.forsake(fmt.Errorf("%w: %w", broker.ErrUnknown, err))
	for _, p := range waiting {
		p.Err = final
		answer(p)
	}
	l.answered(n)
	l.led(final)
}

// led tells Start that the log leads, or that it never will.
func (l *Log) led(err error) {
	select {
	case l.ledC <- err:
	default:
	}
}

// Bounds implements broker.Log.
func (l *Log) Bounds() (start, end record.Offset) {
	return l.store.Bounds().Start, record.Offset(l.high.Load())
}

// Checkpoint implements broker.Log.
func (l *Log) Checkpoint() ([]byte, record.Index, error) {
	l.looked = true
	state, at, err := l.store.Checkpoint()
	return state, at, translate(err)
}

// SaveCheckpoint implements broker.Log.
func (l *Log) SaveCheckpoint(state []byte, at record.Index) error {
	return translate(l.store.SaveCheckpoint(state, at))
}

// Segments implements broker.Log.
func (l *Log) Segments() []broker.Segment {
	var segments []broker.Segment
	for _, s := range l.store.Segments() {
		segments = append(segments, broker.Segment{
			First: s.First, Next: s.Next, Bytes: s.Bytes, LastTime: s.LastTime, Sealed: s.Sealed, Carries: s.Carries,
		})
	}
	return segments
}

// Roll implements broker.Log.
func (l *Log) Roll() error { return translate(l.store.Roll()) }

// Trim implements broker.Log.
func (l *Log) Trim(below record.Offset) error { return translate(l.store.Trim(below)) }

// Close implements broker.Log. What a full disk holds back has an unknown outcome.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	for l.outstanding > 0 && l.failed == nil && !l.stuck {
		l.idle.Wait()
	}
	l.mu.Unlock()
	err := l.store.Close()
	l.group.forsake(broker.ErrUnknown) // no round runs any more
	return translate(err)
}

// NewReader implements broker.Log.
func (l *Log) NewReader() broker.Reader { return &reader{log: l, store: l.store.NewReader()} }

// reader keeps a commitlog's reader below the high watermark.
type reader struct {
	log   *Log
	store *commitlog.Reader
}

// Batch implements broker.Reader.
func (r *reader) Batch(offset record.Offset) (record.Batch, int64, error) {
	batch, time, err := r.store.Batch(offset, record.Offset(r.log.high.Load()))
	return batch, time, translate(err)
}

// Release implements broker.Reader.
func (r *reader) Release() { r.store.Release() }

// translate puts an error of the commitlog into the broker's terms.
func translate(err error) error {
	for _, pair := range [...][2]error{
		{commitlog.ErrFull, broker.ErrFull},
		{commitlog.ErrOffsetOutOfRange, broker.ErrOffsetOutOfRange},
		{commitlog.ErrClosed, broker.ErrClosed},
	} {
		if errors.Is(err, pair[0]) {
			return fmt.Errorf("%w: %w", pair[1], err)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", broker.ErrFailed, err)
	}
	return nil
}
