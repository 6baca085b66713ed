package hostile

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// Log is one node's open log. It implements broker.Log, for any number of goroutines.
type Log struct {
	node    *Logs
	group   *group
	disk    *disk
	machine broker.Machine

	// stepping is held by whoever runs callbacks, so that there is one at a time. It comes before group.mu.
	stepping sync.Mutex
	wakeC    chan struct{}
	stopC    chan struct{}
	stop     sync.Once
	runs     sync.WaitGroup

	held atomic.Int32 // see Held

	mu logState // guarded by group.mu
}

// logState is what changes in an open log.
type logState struct {
	started bool
	closing bool // proposals are refused
	closed  bool // nothing works and nobody is called any more
	failed  error
	full    bool

	applied record.Index // last entry given to the machine, or about to be by the running step
	next    record.Offset

	// elected is the index of the entry that begins this log's leadership, 0 if it does not lead. told is that of the
	// leadership that the machine knows of.
	elected, told record.Index

	lag int // steps that a follower goes on waiting for a checkpoint to be restored from

	waiting  map[record.Index]*broker.Proposal // committed, to be answered once applied
	refusals []refusal                         // to be delivered by the next step
}

// refusal is an outcome other than "committed" on its way to an owner.
type refusal struct {
	proposal *broker.Proposal
	err      error
}

var _ broker.Log = (*Log)(nil)

func newLog(n *Logs, d *disk, m broker.Machine) *Log {
	l := &Log{node: n, group: d.group, disk: d, machine: m}
	l.wakeC = make(chan struct{}, 1)
	l.stopC = make(chan struct{})
	l.mu.waiting = make(map[record.Index]*broker.Proposal)
	return l
}

// Start replays the committed entries above index. A benign log leads when it returns; a hostile one is elected later.
func (l *Log) Start(above record.Index) error {
	l.stepping.Lock()
	defer l.stepping.Unlock()
	events, err := l.startEvents(above)
	if err != nil {
		return fmt.Errorf("start %v: %w", l, err)
	}
	l.run(events)
	if !l.node.options.Manual {
		l.runs.Go(l.runSteps)
	}
	return nil
}

func (l *Log) startEvents(above record.Index) ([]event, error) {
	g := l.group
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case l.mu.closing:
		return nil, broker.ErrClosed
	case l.mu.started:
		return nil, fmt.Errorf("it is started")
	case above < l.disk.trimmed:
		return nil, fmt.Errorf("entries up to %d are trimmed, cannot replay above %d", l.disk.trimmed, above)
	case int(above) > len(g.mu.committed):
		return nil, fmt.Errorf("cannot replay above %d, the last entry is %d", above, len(g.mu.committed))
	}
	l.mu.started = true
	l.mu.applied = above
	g.mu.open = append(g.mu.open, l)
	events := l.applyLocked(len(g.mu.committed))
	if l.node.options.Depose == 0 && g.mu.leader == nil && !g.mu.held {
		l.electLocked()
		g.commitLocked(len(g.mu.tail))
		events = append(events, l.applyLocked(len(g.mu.committed))...)
	}
	return events, nil
}

// Propose appends p to the tail, or refuses it.
func (l *Log) Propose(p *broker.Proposal) {
	g := l.group
	g.mu.Lock()
	err := l.admitLocked(p)
	if err == nil {
		g.appendLocked(l, p, l.node.options.Now())
		inPlace := !l.node.options.Manual && g.chanceLocked(l.node.options.InPlace)
		g.mu.Unlock()
		l.wake()
		if inPlace && l.stepping.TryLock() {
			l.commitInPlace()
			l.stepping.Unlock()
		}
		return
	}
	later := !l.mu.closing && l.mu.started && l.node.options.Refuse > 0 && g.chanceLocked(0.5)
	if later {
		l.refuseLocked(p, err)
	}
	g.mu.Unlock()
	if !later {
		answer(p, l.wrap(err))
	}
}

// admitLocked decides whether p may enter the tail.
func (l *Log) admitLocked(p *broker.Proposal) error {
	g, o := l.group, &l.node.options
	switch p.Kind {
	case record.KindBatch:
		b, err := record.ParseBatch(p.Payload)
		if err == nil {
			err = b.Verify()
		}
		if err != nil {
			panic(fmt.Sprintf("hostile: a bad batch was proposed: %v", err))
		}
	case record.KindControl, record.KindCarry:
	default:
		panic(fmt.Sprintf("hostile: an entry of kind %d was proposed", p.Kind))
	}
	switch {
	case l.mu.closing:
		return broker.ErrClosed
	case l.mu.failed != nil:
		return broker.ErrFailed
	case l.mu.elected == 0 || l.mu.told != l.mu.elected:
		return broker.ErrNotLeader
	case l.mu.full, len(g.mu.tail) >= o.MaxPending:
		return broker.ErrFull
	case g.chanceLocked(o.Refuse):
		if g.chanceLocked(0.5) {
			return broker.ErrNotLeader
		}
		return broker.ErrFull
	}
	return nil
}

// refuseLocked lets the next step tell the owner of p.
func (l *Log) refuseLocked(p *broker.Proposal, err error) {
	l.mu.refusals = append(l.mu.refusals, refusal{p, err})
	l.wake()
}

// Close commits a first part of the log's own tail (a benign log all of it) and refuses the rest.
func (l *Log) Close() error {
	l.halt()
	l.stepping.Lock()
	defer l.stepping.Unlock()
	g := l.group
	g.mu.Lock()
	if l.mu.closing {
		g.mu.Unlock()
		return nil
	}
	l.mu.closing = true
	if g.mu.leader == l {
		n := len(g.mu.tail)
		if g.chanceLocked(l.node.options.Partial) {
			n = g.mu.rng.IntN(n + 1)
		}
		g.commitLocked(n)
		g.truncateLocked(0, broker.ErrClosed)
	}
	l.forsakeLocked(func(p *broker.Proposal) { l.refuseLocked(p, broker.ErrUnknown) })
	events := append(l.applyLocked(len(g.mu.committed)), l.refusalsLocked()...)
	g.mu.Unlock()
	l.run(events)
	g.mu.Lock()
	l.mu.closed = true
	g.mu.Unlock()
	l.node.closed(l)
	return nil
}

// forsakeLocked takes the log out of its group. What it proposed stays in the tail without an owner.
func (l *Log) forsakeLocked(each func(p *broker.Proposal)) {
	g := l.group
	for i := range g.mu.tail {
		t := &g.mu.tail[i]
		if t.from == l && t.proposal != nil {
			each(t.proposal)
			t.proposal = nil
		}
	}
	if g.mu.leader == l {
		g.mu.leader = nil
	}
	l.mu.elected = 0
	for i, o := range g.mu.open {
		if o == l {
			g.mu.open = append(g.mu.open[:i:i], g.mu.open[i+1:]...)
			break
		}
	}
	g.wakeLocked()
}

// crash ends the log at once. See Logs.Crash.
func (l *Log) crash() {
	g := l.group
	g.mu.Lock()
	l.mu.closing, l.mu.closed = true, true
	g.mu.Unlock()
	l.halt()
	l.stepping.Lock()
	defer l.stepping.Unlock()
	g.mu.Lock()
	led := g.mu.leader == l
	l.forsakeLocked(func(*broker.Proposal) {})
	if led {
		g.truncateLocked(g.mu.rng.IntN(len(g.mu.tail)+1), broker.ErrUnknown)
	}
	l.disk.crashLocked()
	g.mu.Unlock()
	l.node.closed(l)
}

// halt stops the goroutine and waits for it.
func (l *Log) halt() {
	l.stop.Do(func() { close(l.stopC) })
	l.runs.Wait()
}

func (l *Log) String() string {
	return fmt.Sprintf("log %x/%d", l.group.id.Topic, l.group.id.Partition)
}

func (l *Log) wrap(err error) error { return fmt.Errorf("%v: %w", l, err) }
