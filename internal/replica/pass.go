package replica

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// A pass empties the inbox into Raft and carries out what Raft wants: messages to send, entries to store, entries to apply. Raft
// panics on broken invariants and when its storage cannot be read; that is the end of this replica, not of the node.
func (g *Group) pass() {
	w := g.take()
	if g.failure != nil {
		return
	}
	defer func() {
		if cause := recover(); cause != nil {
			g.logger.Error("a pass has failed; please report it", slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
			g.fail(fmt.Errorf("%w: %v", errRaft, cause))
			g.refuse(w.proposals, g.failed()) // Raft has none of them, or has not passed them on
		}
	}()
	for _, m := range w.messages {
		g.stepMessage(m)
	}
	for _, m := range w.responses {
		_ = g.node.Step(m) // of an earlier term: Raft ignores it
	}
	for range w.ticks {
		g.node.Tick()
		g.ticked()
	}
	for _, fn := range w.calls {
		fn()
	}
	g.propose(w.proposals)
	w.proposals = nil
	for begun := time.Now(); g.failure == nil; {
		if g.proceedMove(); !g.node.HasReady() {
			break
		}
		g.ready(g.node.Ready())
		if time.Since(begun) > passTime {
			g.wake()
			break
		}
	}
	g.dropUnwanted()
	for _, replica := range g.dropped {
		g.node.ReportUnreachable(replica)
	}
	g.dropped = g.dropped[:0]
}

// passTime is about how long a pass may take before other groups get their turn: a replica may have much to apply.
const passTime = 50 * time.Millisecond

// stepMessage gives Raft a message of another replica. A snapshot is fetched first.
func (g *Group) stepMessage(m *raftpb.Message) {
	if m.GetType() == raftpb.MsgSnap {
		g.fetchSnapshot(m)
		return
	}
	_ = g.node.Step(m) // out of date, or from a stranger: Raft ignores it
}

// ready carries out one Ready.
func (g *Group) ready(rd raft.Ready) {
	if rd.SoftState != nil {
		g.changeRole(rd.SoftState)
	}
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			g.toStore(m)
		case raft.LocalApplyThread:
			g.apply(m)
		default:
			g.send(m)
		}
		if g.failure != nil {
			return
		}
	}
}

// changeRole notes who leads. Losing leadership takes effect at once, winning it when all of earlier terms is applied.
func (g *Group) changeRole(s *raft.SoftState) {
	was := g.role
	g.role = role{lead: s.Lead, state: s.RaftState, handOverAt: handOverTicks}
	if was.state != raft.StateLeader && s.RaftState != raft.StateLeader {
		g.role.since = was.since
	}
	if s.RaftState != raft.StateLeader && g.ordering() {
		if g.leading.Swap(false) {
			g.machine.Lead(false)
		}
		g.endMove()
		g.releaseAll()
	}
	if s.RaftState != raft.StateLeader || g.ordering() {
		g.leader.Store(uint64(g.config.Replicas[s.Lead]))
	}
}

// ordering reports whether this replica puts proposals into the log: it leads, or is handing leadership over and has some left.
func (g *Group) ordering() bool { return g.leading.Load() || g.move != nil }

// propose gives Raft what was proposed while this replica leads.
func (g *Group) propose(proposals []*broker.Proposal) {
	if len(proposals) == 0 {
		return
	}
	if !g.ordering() {
		g.refuse(proposals, broker.ErrNotLeader)
		return
	}
	g.former.Form(proposals)
	before, now := g.proposed, time.Now().UnixNano()
	m := &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: new(g.config.Self), Entries: make([]*raftpb.Entry, len(g.former.Entries))}
	for i := range g.former.Entries {
		e := &g.former.Entries[i]
		g.proposed.time = max(g.proposed.time, now)
		e.Base, e.Time = g.proposed.next, g.proposed.time
		if e.Kind == record.KindBatch {
			record.Batch(e.Payload).Stamp(e.Base, int32(g.saved.term))
			g.proposed.next = e.Next()
		}
		m.Entries[i] = &raftpb.Entry{Data: appendData(make([]byte, 0, dataHeaderBytes+len(e.Payload)), e)}
	}
	if err := g.node.Step(m); err != nil { // leadership is lost, or too much waits for a majority
		g.proposed = before
		g.former.Clear()
		g.refuse(proposals, broker.ErrNotLeader)
		return
	}
	for _, owned := range g.former.Owners {
		g.owners = append(g.owners, owner{proposals: owned, since: g.clock})
	}
	g.former.Clear()
}

// refuse answers proposals that are not, and will not be, in the log.
func (g *Group) refuse(proposals []*broker.Proposal, err error) {
	for _, p := range proposals {
		p.Err = err
		answer(p)
	}
	g.answered(len(proposals))
}

// apply gives committed entries to the machine, and answers their owners.
func (g *Group) apply(m *raftpb.Message) {
	for _, e := range m.GetEntries() {
		out, err := fromRaft(e)
		if err != nil {
			g.fail(err)
			return
		}
		if e.GetType() != raftpb.EntryNormal {
			g.fail(fmt.Errorf("entry %d changes the replicas of the log, which this version does not do", e.GetIndex()))
			return
		}
		if out.Kind == record.KindRaft {
			out.Base, out.Time = g.applied.next, g.applied.time
		}
		g.applied = tail{index: out.Index, next: out.Next(), time: out.Time}
		g.high.Store(int64(g.applied.next))
		g.machine.Apply(&out)
		g.resolve(&out)
		if !g.ordering() && g.role.state == raft.StateLeader && e.GetTerm() == g.saved.term {
			g.lead()
		}
	}
	if n := len(m.GetEntries()); n > 0 {
		g.storage.applied(m.GetEntries()[n-1].GetIndex())
	}
	for _, r := range m.GetResponses() {
		_ = g.node.Step(r)
	}
}

// lead begins to take proposals: all of earlier terms is applied, and nothing was proposed in this one.
func (g *Group) lead() {
	b := g.log().Bounds()
	g.proposed = tail{next: b.Next, time: b.LastTime}
	g.role.seen = uint64(b.LastIndex)
	g.machine.Lead(true)
	g.leading.Store(true)
	g.leader.Store(uint64(g.groups.self))
}

// resolve answers the proposals that the applied entry decides: its own are committed; if another leader's entry took the place of
// one, that one and all behind it are not in the log and never will be.
func (g *Group) resolve(e *record.Entry) {
	n := 0
	for len(g.owners) > 0 && g.owners[0].index != 0 && g.owners[0].index <= uint64(e.Index) {
		o := g.owners[0]
		if o.index != uint64(e.Index) || o.term != uint64(e.Term) {
			n += g.forsake(broker.ErrNotLeader)
			break
		}
		g.owners[0] = owner{}
		g.owners = g.owners[1:]
		g.assigned--
		base := e.Base
		for _, p := range o.proposals {
			p.Base, p.Index = base, e.Index
			if p.Kind == record.KindBatch {
				base += record.Offset(record.Batch(p.Payload).Count())
			}
			answer(p)
			n++
		}
	}
	if len(g.owners) == 0 {
		g.owners = nil
	}
	g.answered(n)
}

// Ticks of Raft's clock. A replica that hears nothing of a leader for electionTicks to twice as many seeks election.
const (
	heartbeatTicks = 2
	electionTicks  = 8
	// resolveTicks is how long the fate of proposals may stay open after leadership was lost.
	resolveTicks = 10
	// commitTicks is how long it may stay open while this replica leads: the others may be alive, and unable to store anything.
	commitTicks = 25
	// handOverTicks is how often a leader looks whether another replica should lead. Attempts that fail, each of which stops the
	// log for moveTicks or longer (see move), become rare: handOverRest ticks apart, then twice as many, at most handOverRestMax.
	handOverTicks   = 5
	handOverRest    = 4 * electionTicks
	handOverRestMax = 300
)

// ticked does what Raft leaves to its user, once a tick.
func (g *Group) ticked() {
	g.clock++
	g.role.since++
	g.loseLate()
	if len(g.owners) > 0 && g.role.state != raft.StateLeader && g.role.since > resolveTicks {
		g.answered(g.forsake(fmt.Errorf("%w: leadership was lost, and no other leader has decided since", broker.ErrUnknown)))
	}
	full := g.appends.retry(g) || g.groups.space.low.Load()
	if g.role.state == raft.StateLeader && g.role.since >= g.role.handOverAt {
		g.handOver(full)
	}
	g.sent.tick(g)
}

// loseLate answers proposals that no majority has stored for too long. They stay in Raft, and may be committed yet.
func (g *Group) loseLate() {
	n := 0
	for len(g.owners) > 0 && g.assigned > 0 && g.clock-g.owners[0].since > commitTicks {
		late := g.owners[0]
		g.owners[0] = owner{}
		g.owners = g.owners[1:]
		g.assigned--
		for _, p := range late.proposals {
			p.Err = fmt.Errorf("%w: no majority of the replicas has stored it so far", broker.ErrUnknown)
			answer(p)
			n++
		}
	}
	g.answered(n)
}

// handOver passes leadership to the preferred replica when that has caught up, or, if this one's disk is full, to any that has: it has
// all that there was at the last look, so that what is missing is only on its way.
func (g *Group) handOver(full bool) {
	seen := g.role.seen
	g.role.seen = g.lastIndex()
	g.role.handOverAt = g.role.since + handOverTicks
	preferred := g.config.Preferred
	if !full && (preferred == 0 || preferred == g.config.Self) {
		return
	}
	asked := g.transfer(func(id, match uint64) bool {
		return (full || id == preferred) && match >= seen && g.groups.peers.Up(g.config.Replicas[id])
	})
	if asked {
		g.role.handOverRest = min(max(2*g.role.handOverRest, handOverRest), handOverRestMax)
		g.role.handOverAt = g.role.since + g.role.handOverRest
	}
}

// lastIndex is that of the last entry on this disk.
func (g *Group) lastIndex() uint64 { return uint64(g.log().Bounds().LastIndex) }
