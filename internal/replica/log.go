package replica

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// term is what a lone node writes.
const term record.Term = 1

// Log is one partition's log on a lone node. It implements broker.Log, and commitlog.Source for the commit rounds.
type Log struct {
	space   *Space
	machine broker.Machine
	stored

	mu      sync.Mutex
	idle    *sync.Cond         // outstanding has become 0
	pending []*broker.Proposal // not collected yet
	// outstanding counts the proposals taken and not answered.
	outstanding int
	closed      bool
	failed      error

	// Owned by the commit rounds.

	tail     tail // behind the last committed entry
	proposed tail // behind the last collected entry
	taken    []*broker.Proposal
	former   Former // of taken
}

var (
	_ broker.Log       = (*Log)(nil)
	_ commitlog.Source = (*Log)(nil)
)

// tail is where the next entry goes.
type tail struct {
	index record.Index // of the last entry
	next  record.Offset
	time  int64 // of the last entry
}

// Start implements broker.Log.
func (l *Log) Start(above record.Index) error {
	if err := l.look(); err != nil {
		return err
	}
	b := l.log().Bounds()
	l.tail = tail{index: b.LastIndex, next: b.Next, time: b.LastTime}
	l.proposed = l.tail
	l.high.Store(int64(b.Next))
	err := l.log().Replay(above, func(e *record.Entry) error {
		l.machine.Apply(e)
		return nil
	})
	if err != nil {
		return translate(err)
	}
	l.machine.Lead(true)
	return nil
}

// Propose implements broker.Log.
func (l *Log) Propose(p *broker.Proposal) {
	if p.Kind == record.KindBatch {
		l.space.spend(len(p.Payload))
	}
	if err := l.admit(p); err != nil {
		p.Err = err
		answer(p)
		return
	}
	if p.Kind == record.KindBatch {
		l.log().Commit() // p may have been answered meanwhile: it is the owner's again
	} else {
		l.log().Kick()
	}
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
	case p.Kind == record.KindBatch && l.space.low.Load():
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

// Collect implements commitlog.Source: it gives the waiting proposals their place in the log.
func (l *Log) Collect(limitBytes int) []record.Entry {
	l.taken = l.take(limitBytes)
	l.former.Form(l.taken)
	now := time.Now().UnixNano()
	for i := range l.former.Entries {
		e := &l.former.Entries[i]
		l.proposed.index++
		l.proposed.time = max(l.proposed.time, now)
		e.Term, e.Index, e.Base, e.Time = term, l.proposed.index, l.proposed.next, l.proposed.time
		if e.Kind == record.KindBatch {
			record.Batch(e.Payload).Stamp(e.Base, int32(term))
			l.proposed.next = e.Next()
		}
	}
	return l.former.Entries
}

// take moves waiting proposals out of pending until they reach limitBytes.
func (l *Log) take(limitBytes int) []*broker.Proposal {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(l.pending) && size < limitBytes {
		size += len(l.pending[n].Payload)
		n++
	}
	taken := append(l.taken[:0], l.pending[:n]...)
	rest := copy(l.pending, l.pending[n:])
	clear(l.pending[rest:])
	l.pending = l.pending[:rest]
	return taken
}

// Done implements commitlog.Source: what was collected is committed, or was not appended, or its fate is unknown.
func (l *Log) Done(err error) {
	switch {
	case err == nil:
		l.commit()
	case errors.Is(err, commitlog.ErrFull):
		l.proposed = l.tail
		l.refuse(translate(err))
	default:
		l.fail(err)
	}
	n := len(l.taken)
	l.forget()
	l.mu.Lock()
	l.outstanding -= n
	if l.outstanding == 0 {
		l.idle.Broadcast()
	}
	l.mu.Unlock()
}

// forget lets go of what was collected.
func (l *Log) forget() {
	l.former.Clear()
	clear(l.taken)
	l.taken = l.taken[:0]
}

// commit applies the collected entries and answers for them.
func (l *Log) commit() {
	l.tail = l.proposed
	for i := range l.former.Entries {
		e := &l.former.Entries[i]
		l.high.Store(int64(e.Next()))
		l.machine.Apply(e)
		base := e.Base
		for _, p := range l.former.Owners[i] {
			p.Base, p.Index = base, e.Index
			if p.Kind == record.KindBatch {
				base += record.Offset(record.Batch(p.Payload).Count())
			}
			answer(p)
		}
	}
}

// refuse answers for what was not appended.
func (l *Log) refuse(err error) {
	for _, p := range l.taken {
		p.Err = err
		answer(p)
	}
}

// fail ends the log: what was under way may or may not be in it, what waits is not. A log may fail between rounds, too.
func (l *Log) fail(err error) {
	final := fmt.Errorf("%w: %w", broker.ErrFailed, err)
	l.mu.Lock()
	first := l.failed == nil
	l.failed = final
	waiting := l.pending
	l.pending = nil
	l.outstanding -= len(waiting)
	l.mu.Unlock()
	if first {
		l.machine.Failed(final)
	}
	l.refuse(fmt.Errorf("%w: %w", broker.ErrUnknown, err))
	for _, p := range waiting {
		p.Err = final
		answer(p)
	}
}

// Close implements broker.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	for l.outstanding > 0 && l.failed == nil {
		l.idle.Wait()
	}
	l.mu.Unlock()
	return translate(l.log().Close())
}
