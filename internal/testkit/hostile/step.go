package hostile

import (
	"slices"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// An event is one callback, decided under the group's mutex and run outside it.
type event func()

// Step lets one thing happen to the log: a part of its tail is committed, leadership is lost or won, or a follower hears
// of more. The callbacks have returned when Step does. It reports whether there is more to do, now or in later steps.
func (l *Log) Step() bool {
	l.stepping.Lock()
	defer l.stepping.Unlock()
	l.stepOnce()
	return l.busy()
}

// Settle steps until there is nothing more to do.
func (l *Log) Settle() {
	for l.Step() {
	}
}

// stepOnce is Step for a caller that holds stepping.
func (l *Log) stepOnce() {
	g := l.group
	g.mu.Lock()
	events := l.decideLocked()
	g.mu.Unlock()
	l.run(events)
}

// commitInPlace commits what was proposed, for a caller that holds stepping and is within Propose: leadership stays as it is.
func (l *Log) commitInPlace() {
	g := l.group
	g.mu.Lock()
	var events []event
	if g.mu.leader == l && l.leadsLocked() {
		g.commitLocked(len(g.mu.tail))
		events = append(l.refusalsLocked(), l.applyLocked(len(g.mu.committed))...)
	}
	g.mu.Unlock()
	l.run(events)
}

// leadsLocked reports whether the machine was told that it leads, and is to.
func (l *Log) leadsLocked() bool {
	return l.mu.started && !l.mu.closing && l.mu.failed == nil && l.mu.told != 0 && l.mu.told == l.mu.elected
}

// runSteps is the goroutine of an automatic log.
func (l *Log) runSteps() {
	for {
		for l.busy() {
			if !l.pause() {
				return
			}
			l.Step()
		}
		select {
		case <-l.wakeC:
		case <-l.stopC:
			return
		}
	}
}

// pause waits a random time; false means that the log is to stop.
func (l *Log) pause() bool {
	var wait time.Duration
	if limit := l.node.options.MaxDelay; limit > 0 {
		l.group.mu.Lock()
		wait = time.Duration(l.group.mu.rng.Int64N(int64(limit) + 1))
		l.group.mu.Unlock()
	}
	if wait == 0 {
		select {
		case <-l.stopC:
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-l.stopC:
		return false
	case <-t.C:
		return true
	}
}

func (l *Log) wake() {
	select {
	case l.wakeC <- struct{}{}:
	default:
	}
}

// busy tells whether a step would find something to do.
func (l *Log) busy() bool {
	g := l.group
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !l.mu.started || l.mu.closing:
		return false
	case len(l.mu.refusals) > 0 || l.mu.told != l.mu.elected:
		return true
	case l.mu.failed != nil:
		return false
	case int(l.mu.applied) < len(g.mu.committed):
		return true
	case g.mu.leader == nil:
		return !g.mu.held || len(g.mu.tail) > 0
	}
	return g.mu.leader == l && len(g.mu.tail) > 0
}

// decideLocked chooses what happens in one step.
func (l *Log) decideLocked() []event {
	g, o := l.group, &l.node.options
	if !l.mu.started || l.mu.closing {
		return nil
	}
	if l.mu.failed != nil {
		return l.refusalsLocked()
	}
	some := func(n int) int {
		if n > 0 && g.chanceLocked(o.Partial) {
			return g.mu.rng.IntN(n + 1)
		}
		return n
	}
	switch {
	case g.mu.leader == l && g.chanceLocked(o.Depose):
		g.dropLocked()
		return l.noticesLocked()
	case g.mu.leader == l:
		g.commitLocked(some(len(g.mu.tail)))
	case g.mu.leader == nil && (g.mu.held || g.chanceLocked(o.Partial)):
		g.commitLocked(some(len(g.mu.tail))) // a leader outside the test commits what survived
	case g.mu.leader == nil:
		if g.chanceLocked(o.Depose) {
			g.dropLocked() // another election in between
		}
		l.electLocked()
		g.commitLocked(some(len(g.mu.tail)))
	}
	events := l.noticesLocked()
	if l.lagsLocked() {
		if restore := l.restoreLocked(); restore != nil {
			events = append(events, restore)
		}
		return events
	}
	upTo := len(g.mu.committed)
	if g.mu.leader != l {
		upTo = int(l.mu.applied) + some(upTo-int(l.mu.applied))
	}
	return append(events, l.applyLocked(upTo)...)
}

// lagSteps is for how many steps a follower waits for a checkpoint that it can be restored from.
const lagSteps = 100

// lagsLocked reports whether a follower applies nothing in this step, because it waits for a checkpoint.
func (l *Log) lagsLocked() bool {
	g := l.group
	if g.mu.leader == l || l.mu.told != 0 || len(l.mu.waiting) > 0 {
		l.mu.lag = 0
		return false
	}
	if l.mu.lag == 0 && g.chanceLocked(l.node.options.Snapshot) {
		l.mu.lag = lagSteps
	}
	l.mu.lag = max(l.mu.lag-1, 0)
	return l.mu.lag > 0
}

// restoreLocked replaces what a follower has by another node's checkpoint, if there is one above it; nil if not.
func (l *Log) restoreLocked() event {
	g := l.group
	for _, o := range g.mu.open {
		n := len(o.disk.checkpoints)
		if o == l || n == 0 || o.disk.checkpoints[n-1].at <= l.mu.applied {
			continue
		}
		l.disk.copyLocked(o.disk)
		c := l.disk.checkpoints[0]
		l.mu.lag = 0
		l.mu.applied, l.mu.next = c.at, g.mu.committed[c.at-1].entry.Next()
		return func() {
			if err := l.machine.Restore(slices.Clone(c.state), c.at); err != nil {
				panic(err) // the machine made the state itself
			}
		}
	}
	return nil
}

// electLocked makes the log the leader. Its machine is told once it has applied the entry that begins the term.
func (l *Log) electLocked() {
	g := l.group
	g.appendElectionLocked(l.node.options.Now())
	g.mu.leader = l
	l.mu.elected = g.lastLocked().Index
}

// noticesLocked returns the end of a leadership and the refusals, in either order.
func (l *Log) noticesLocked() []event {
	refusals := l.refusalsLocked()
	if l.mu.told == 0 || l.mu.told == l.mu.elected {
		return refusals
	}
	l.mu.told = 0
	lead := func() { l.machine.Lead(false) }
	if l.group.chanceLocked(0.5) {
		return append(refusals, lead)
	}
	return append([]event{lead}, refusals...)
}

func (l *Log) refusalsLocked() []event {
	var events []event
	for _, r := range l.mu.refusals {
		events = append(events, func() { answer(r.proposal, l.wrap(r.err)) })
	}
	l.mu.refusals = nil
	return events
}

// applyLocked makes the committed entries up to index readable, then gives them to the machine and answers their owners.
func (l *Log) applyLocked(upTo int) []event {
	var events []event
	for int(l.mu.applied) < upTo {
		c := l.group.mu.committed[l.mu.applied]
		e := c.entry
		l.mu.applied = e.Index
		l.mu.next = e.Next()
		l.disk.appendLocked(e, l.node.options.SegmentBytes)
		events = append(events, func() {
			c.check()
			l.machine.Apply(e)
		})
		if p := l.mu.waiting[e.Index]; p != nil {
			delete(l.mu.waiting, e.Index)
			events = append(events, func() {
				p.Base, p.Index = e.Base, e.Index
				answer(p, nil)
			})
		}
		if e.Index == l.mu.elected {
			l.mu.told = e.Index
			events = append(events, func() { l.machine.Lead(true) })
		}
	}
	return events
}

// run calls the callbacks in order, unless the node crashes in between.
func (l *Log) run(events []event) {
	for _, e := range events {
		l.group.mu.Lock()
		dead := l.mu.closed
		l.group.mu.Unlock()
		if dead {
			return
		}
		e()
	}
}

func answer(p *broker.Proposal, err error) {
	p.Err = err
	if p.Owner != nil {
		p.Owner.Proposed(p)
	}
}

// Depose takes the leadership away, as an election elsewhere would, and keeps it away until Elect. The machine and the
// owners of what was under way have been told when it returns. What survived in the tail is committed by later steps.
func (l *Log) Depose() {
	l.stepping.Lock()
	defer l.stepping.Unlock()
	g := l.group
	g.mu.Lock()
	g.mu.held = true
	if g.mu.leader != nil {
		g.dropLocked()
	}
	events := l.noticesLocked()
	g.mu.Unlock()
	g.wake()
	l.run(events)
}

// Yield gives leadership up as a planned hand-over does, and keeps it away until Elect: what the machine proposes while it is told is
// committed when Yield returns.
func (l *Log) Yield() {
	l.stepping.Lock()
	defer l.stepping.Unlock()
	g := l.group
	g.mu.Lock()
	leads := l.leadsLocked()
	g.mu.Unlock()
	if !leads {
		return
	}
	l.machine.Lead(false)
	g.mu.Lock()
	var events []event
	if g.mu.leader == l {
		g.commitLocked(len(g.mu.tail))
		events = l.applyLocked(len(g.mu.committed))
		g.mu.held, g.mu.leader = true, nil
		l.mu.told, l.mu.elected = 0, 0
	}
	g.mu.Unlock()
	g.wake()
	l.run(events)
}

// Elect makes the log the leader, committing what is in the tail of an earlier one or cutting it. The machine leads when
// it returns.
func (l *Log) Elect() {
	l.stepping.Lock()
	defer l.stepping.Unlock()
	g := l.group
	g.mu.Lock()
	g.mu.held = false
	if g.mu.leader != l && l.mu.started && !l.mu.closing && l.mu.failed == nil {
		if g.mu.leader != nil {
			g.dropLocked()
		}
		l.electLocked()
	}
	events := l.noticesLocked()
	if g.mu.leader == l {
		g.commitLocked(len(g.mu.tail))
		events = append(events, l.applyLocked(len(g.mu.committed))...)
	}
	g.mu.Unlock()
	g.wake()
	l.run(events)
}

// SetFull simulates a full disk: while it is, proposals and checkpoints get broker.ErrFull.
func (l *Log) SetFull(full bool) {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	l.mu.full = full
}

// Fail simulates a failed sync: the machine hears Failed, what was under way has an unknown outcome, and the log takes
// nothing more. What is applied can still be read.
func (l *Log) Fail(err error) {
	l.stepping.Lock()
	defer l.stepping.Unlock()
	g := l.group
	g.mu.Lock()
	if l.mu.failed != nil || l.mu.closing {
		g.mu.Unlock()
		return
	}
	l.mu.failed = err
	l.forsakeLocked(func(p *broker.Proposal) { l.refuseLocked(p, broker.ErrUnknown) })
	for index, p := range l.mu.waiting {
		delete(l.mu.waiting, index)
		l.refuseLocked(p, broker.ErrUnknown)
	}
	l.mu.told = 0
	events := append([]event{func() { l.machine.Failed(l.wrap(err)) }}, l.refusalsLocked()...)
	g.mu.Unlock()
	l.run(events)
}

// Applied returns the index of the last entry that the machine was given.
func (l *Log) Applied() record.Index {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	return l.mu.applied
}

// Leading tells whether the machine leads.
func (l *Log) Leading() bool {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	return l.mu.elected != 0 && l.mu.told == l.mu.elected
}
