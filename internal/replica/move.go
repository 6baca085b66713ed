package replica

import (
	"log/slog"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// move is leadership on its way to another replica, from begin to end:
//
//	letting go   the machine stops serving and proposes what it has not recorded; nothing else is taken any more
//	deciding     until all that was proposed is committed (or refused), and the other replica has it
//	asking       Raft's transfer: the other replica seeks election at once, and wins it, since it has all there is
//
// It ends when this replica does not lead any more, for whatever reason. A move that takes longer than moveTicks is called off, and
// service goes on here, as soon as all that was proposed is applied here: what was recorded is in the log by then, so that nothing
// depends on who leads next. Raft commits within moments, unless too few replicas can store: if they are not there, leadership is lost
// after electionTicks, and if they are, nobody serves until they can store again. A replica that was asked may still win, which is a
// lost leadership like any other.
type move struct {
	to    uint64
	since int // the clock when it began
	begun time.Time
	asked bool
}

// moveTicks is how long the other replica has to take over, in ticks: less than Raft's own patience with a transfer.
const moveTicks = electionTicks - 2

// transfer begins to hand leadership to the replica that fits best: of good standing, and liked by the caller, who is given the
// replica's id and the last entry it is known to have. It reports whether one was found. One move is under way at a time. It belongs
// to a pass.
func (g *Group) transfer(fits func(id, match uint64) bool) bool {
	if !g.leading.Load() {
		return false
	}
	to, most := uint64(raft.None), uint64(0)
	g.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		good := kind == raft.ProgressTypePeer && p.State == tracker.StateReplicate && p.RecentActive
		if id != g.config.Self && good && fits(id, p.Match) && (to == raft.None || g.better(id, p.Match, to, most)) {
			to, most = id, p.Match
		}
	})
	if to == raft.None {
		return false
	}
	g.move = &move{to: to, since: g.clock, begun: time.Now()}
	g.machine.Lead(false) // what it proposes is still taken
	g.leading.Store(false)
	return true
}

// better tells whether a replica should rather lead than another: one that has failed to less often, then one that has more.
func (g *Group) better(id, match, than, thanMatch uint64) bool {
	if a, b := g.role.missed[id], g.role.missed[than]; a != b {
		return a < b
	}
	return match > thanMatch
}

// proceedMove takes the move under way, if there is one, a step further. It belongs to a pass.
func (g *Group) proceedMove() {
	m := g.move
	if m == nil {
		return
	}
	late := g.clock-m.since > moveTicks
	switch {
	case late && m.asked:
		g.node.TransferLeader(g.config.Self) // calls Raft's transfer off
		m.asked = false
	case late && g.settled():
		g.callOff()
	case !late && !m.asked && g.hasAll(m.to):
		m.asked = true
		g.node.TransferLeader(m.to)
	}
}

// settled reports whether all proposals are answered, and all that Raft took is applied here; answers alone do not say that (see
// loseLate). Lead(true) may follow Lead(false) only then, since the machine would deliver again what it has recorded and not yet applied.
func (g *Group) settled() bool {
	g.inbox.Lock()
	defer g.inbox.Unlock()
	return g.inbox.outstanding == 0 && g.storage.last() <= uint64(g.applied.index)
}

// hasAll reports whether a replica is known to have all that was proposed, and that is committed. It need not be applied here: a disk
// that is full keeps no leadership.
func (g *Group) hasAll(id uint64) (has bool) {
	g.inbox.Lock()
	waiting := len(g.inbox.proposals)
	g.inbox.Unlock()
	last := max(g.storage.last(), uint64(g.applied.index))
	if waiting > 0 || g.assigned < len(g.owners) || g.node.BasicStatus().GetCommit() < last {
		return false
	}
	g.node.WithProgress(func(of uint64, _ raft.ProgressType, p tracker.Progress) {
		has = has || of == id && p.Match >= last
	})
	return has
}

// callOff ends a move that has not succeeded: this replica serves again.
func (g *Group) callOff() {
	g.logger.Warn("leadership stays here: the replica that was to take it did not in time",
		slog.Uint64("node", uint64(g.config.Replicas[g.move.to])), slog.Duration("after", time.Since(g.move.begun)))
	if g.role.missed == nil {
		g.role.missed = make(map[uint64]int)
	}
	g.role.missed[g.move.to]++
	g.move = nil
	g.machine.Lead(true)
	g.leading.Store(true)
}

// endMove notes that this replica does not lead any more.
func (g *Group) endMove() {
	if g.move == nil {
		return
	}
	g.logger.Debug("leadership was handed over", slog.Uint64("node", uint64(g.config.Replicas[g.move.to])),
		slog.Duration("after", time.Since(g.move.begun)))
	g.move = nil
}
