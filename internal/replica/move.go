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
// service goes on here. What was recorded is in the log by then, so that nothing depends on who leads next; a replica that was asked
// may still win, which is a lost leadership like any other.
type move struct {
	to    uint64
	since int // the clock when it began
	begun time.Time
	asked bool
}

// moveTicks bounds a move, in ticks: less than Raft's own patience with a transfer.
const moveTicks = electionTicks - 2

// transfer begins to hand leadership to the first replica that fits: of good standing, and liked by the caller, who is given the
// replica's id and the last entry it is known to have. It reports whether one was found. One move is under way at a time. It belongs
// to a pass.
func (g *Group) transfer(fits func(id, match uint64) bool) bool {
	if !g.leading.Load() {
		return false
	}
	to := uint64(raft.None)
	g.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		good := kind == raft.ProgressTypePeer && p.State == tracker.StateReplicate && p.RecentActive
		if id != g.config.Self && good && to == raft.None && fits(id, p.Match) {
			to = id
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
	case !g.decided():
	case late:
		g.callOff()
	case !m.asked && g.has(m.to):
		m.asked = true
		g.node.TransferLeader(m.to)
	}
}

// decided reports whether all proposals are answered: Lead(true) may follow Lead(false) only then, since the machine would deliver again
// what it has recorded and not yet applied.
func (g *Group) decided() bool {
	g.inbox.Lock()
	defer g.inbox.Unlock()
	return g.inbox.outstanding == 0
}

// has reports whether a replica is known to have all that is applied here.
func (g *Group) has(id uint64) (has bool) {
	g.node.WithProgress(func(of uint64, _ raft.ProgressType, p tracker.Progress) {
		has = has || of == id && p.Match >= uint64(g.applied.index)
	})
	return has
}

// callOff ends a move that has not succeeded: this replica serves again.
func (g *Group) callOff() {
	g.logger.Warn("leadership stays here: the replica that was to take it did not in time",
		slog.Uint64("node", uint64(g.config.Replicas[g.move.to])), slog.Duration("after", time.Since(g.move.begun)))
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
