package raftspike

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// readyBytes bounds what Raft hands over to be applied at once.
const readyBytes = 8 << 20

// group is the Raft side of a log. One goroutine at a time uses it: a commit round, or Start.
type group struct {
	node     *raft.RawNode
	storage  storage
	proposed tail // behind the last entry given to Raft
	written  tail // behind the last entry given to the commitlog
	applied  tail // behind the last entry given to the machine

	round     []record.Entry    // the last Collect, also again after ErrFull
	responses []*raftpb.Message // to be stepped when it is durable
	owners    []owner           // of entries in Raft, in their order; the first answered ones have been answered
	answered  int
	payloads  map[uint64][]byte // by index, with Options.Payloads == Beside
	leading   bool
	err       error // a broken invariant or a lost hard state: the log fails
}

// tail is where the next entry goes.
type tail struct {
	next record.Offset
	time int64 // of the last entry
}

// owner is who proposed an entry.
type owner struct {
	index     uint64
	proposals []*broker.Proposal
}

// start makes the RawNode, lets it apply what is committed, and makes it the leader. Its vote is stored when start returns;
// the entry that begins its term waits for the first commit round.
func (l *Log) start(above record.Index) error {
	g := &l.group
	if err := l.newNode(above); err != nil {
		return err
	}
	l.drain()
	if g.err != nil {
		return g.err
	}
	if err := g.node.Campaign(); err != nil {
		return err
	}
	for g.err == nil && g.node.BasicStatus().RaftState != raft.StateLeader {
		if !g.node.HasReady() {
			return errors.New("one voter did not win its election")
		}
		l.ready()
		l.respond()
	}
	return g.err
}

// newNode makes the RawNode. What a log's only voter has stored is committed, so all of it is, and Raft hands what is
// above index over to be applied.
func (l *Log) newNode(above record.Index) error {
	g := &l.group
	hard, err := loadHardState(l.logs.options.FS, l.hardStateName)
	if err != nil {
		return err
	}
	b := l.store.Bounds()
	if hard.term < uint64(b.LastTerm) {
		return fmt.Errorf("the stored term is %d, the last entry has %d: the file of the hard state is not the log's",
			hard.term, b.LastTerm)
	}
	g.storage = storage{log: l.store, hard: hard, commit: uint64(b.LastIndex)}
	g.proposed = tail{b.Next, b.LastTime}
	g.written, g.applied = g.proposed, g.proposed // of applied, what is replayed corrects it
	l.high.Store(int64(b.Next))
	g.payloads = make(map[uint64][]byte)
	g.node, err = raft.NewRawNode(&raft.Config{
		ID:                        self,
		ElectionTick:              10,
		HeartbeatTick:             1,
		Storage:                   &g.storage,
		Applied:                   uint64(above),
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  readyBytes,
		MaxInflightMsgs:           256,
		PreVote:                   true,
		CheckQuorum:               true,
		StepDownOnRemoval:         true,
		DisableProposalForwarding: true,
		Logger:                    &raft.DefaultLogger{Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)},
	})
	return err
}

// Collect implements commitlog.Source: it gives the waiting proposals to Raft, and returns what Raft wants to be stored.
func (l *Log) Collect(limitBytes int) []record.Entry {
	g := &l.group
	switch {
	case g.err != nil, g.node == nil: // failed, or not started
		return nil
	case len(g.round) > 0: // the disk was full
		if l.takeRetry() {
			return g.round
		}
		return nil
	}
	if l.former.Form(l.take(limitBytes)); len(l.former.Entries) > 0 {
		l.propose()
	}
	if g.node.HasReady() {
		l.ready()
	}
	if g.err != nil {
		g.round = g.round[:0]
		l.fail(g.err)
	}
	return g.round
}

// propose steps the formed entries into Raft.
func (l *Log) propose() {
	g, f := &l.group, &l.former
	last := uint64(l.store.Bounds().LastIndex) // there is one round at a time: all before is stored
	now := time.Now().UnixNano()
	m := &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: new(uint64(self))}
	for i := range f.Entries {
		e := &f.Entries[i]
		last++
		g.proposed.time = max(g.proposed.time, now)
		e.Base, e.Time = g.proposed.next, g.proposed.time
		if e.Kind == record.KindBatch {
			record.Batch(e.Payload).Stamp(e.Base, int32(g.storage.hard.term))
			g.proposed.next = e.Next()
		}
		g.owners = append(g.owners, owner{last, f.Owners[i]})
		entry := &raftpb.Entry{}
		if l.logs.options.Payloads == Beside {
			g.payloads[last] = e.Payload
			bare := *e
			bare.Payload = nil
			entry.Data = appendData(make([]byte, 0, dataHeaderBytes), &bare)
		} else {
			entry.Data = appendData(make([]byte, 0, dataHeaderBytes+len(e.Payload)), e)
		}
		m.Entries = append(m.Entries, entry)
	}
	if err := g.node.Step(m); err != nil {
		g.err = fmt.Errorf("propose to one voter: %w", err) // it leads from Start to Close
	}
}

// ready takes one Ready. What it wants stored becomes the round, what it wants applied is applied.
func (l *Log) ready() {
	g := &l.group
	for _, m := range g.take() {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			l.toStore(m)
		case raft.LocalApplyThread:
			l.apply(m)
		default:
			g.err = fmt.Errorf("one voter has a message for voter %d", m.GetTo())
		}
	}
}

// take returns the messages of the next Ready. Raft panics when its storage cannot be read; that is the end of this group, not of
// the process.
func (g *group) take() (messages []*raftpb.Message) {
	defer func() {
		if cause := recover(); cause != nil {
			g.err = fmt.Errorf("raft stopped: %v", cause)
		}
	}()
	return g.node.Ready().Messages
}

// toStore prepares one MsgStorageAppend. Its responses wait for Done.
func (l *Log) toStore(m *raftpb.Message) {
	g := &l.group
	if hard := (hardState{m.GetTerm(), m.GetVote()}); hard.term != 0 && hard != g.storage.hard {
		if err := hard.save(l.logs.options.FS, l.hardStateName); err != nil {
			g.err = fmt.Errorf("store term and vote: %w", err)
			return
		}
		g.storage.hard = hard
	}
	for _, e := range m.GetEntries() {
		out, err := g.entry(e, g.written)
		if err != nil {
			g.err = err
			return
		}
		g.written = tail{out.Next(), out.Time}
		g.round = append(g.round, out)
	}
	g.storage.appended(m.GetEntries())
	g.responses = append(g.responses, m.GetResponses()...)
}

// entry returns a raft entry as it is in the log.
func (g *group) entry(e *raftpb.Entry, before tail) (record.Entry, error) {
	out, err := fromRaft(e, before)
	if payload, ok := g.payloads[e.GetIndex()]; ok {
		out.Payload = payload
	}
	return out, err
}

// Done implements commitlog.Source.
func (l *Log) Done(err error) {
	g := &l.group
	full := errors.Is(err, commitlog.ErrFull)
	l.setStuck(full)
	if full {
		return // Raft cannot take an entry back: the next round brings the same ones
	}
	clear(g.round)
	g.round = g.round[:0]
	if err != nil {
		g.err = err
	} else {
		l.respond()
		l.drain()
	}
	switch {
	case g.err != nil:
		l.fail(g.err)
	case len(g.round) > 0 || l.waiting():
		l.store.Kick()
	}
}

// drain takes Readys until Raft wants an entry stored or nothing more.
func (l *Log) drain() {
	g := &l.group
	for g.err == nil && len(g.round) == 0 && g.node.HasReady() {
		l.ready()
		if len(g.round) == 0 {
			l.respond()
		}
	}
}

// respond steps what Raft was promised to hear after the last append.
func (l *Log) respond() {
	g := &l.group
	responses := g.responses
	g.responses = nil
	for _, r := range responses {
		if err := g.node.Step(r); err != nil {
			g.err = fmt.Errorf("step %v: %w", r.GetType(), err)
		}
	}
}

// apply gives committed entries to the machine, and answers their owners.
func (l *Log) apply(m *raftpb.Message) {
	g := &l.group
	answers := 0
	for _, e := range m.GetEntries() {
		out, err := g.entry(e, g.applied)
		if err != nil {
			g.err = err
			return
		}
		g.applied = tail{out.Next(), out.Time}
		l.high.Store(int64(g.applied.next))
		l.machine.Apply(&out)
		delete(g.payloads, e.GetIndex())
		answers += g.answer(e.GetIndex(), out.Base)
		if !g.leading && e.GetTerm() == g.storage.hard.term && l.leads() {
			g.leading = true
			l.machine.Lead(true)
			l.led(nil)
		}
	}
	g.storage.applied(m.GetEntries()[len(m.GetEntries())-1].GetIndex())
	for _, r := range m.GetResponses() {
		if err := g.node.Step(r); err != nil {
			g.err = fmt.Errorf("step %v: %w", r.GetType(), err)
		}
	}
	if answers > 0 {
		l.answered(answers)
	}
}

// leads tells whether Raft leads, which costs an allocation to find out.
func (l *Log) leads() bool { return l.group.node.BasicStatus().RaftState == raft.StateLeader }

// answer answers the proposals of a committed entry that begins at base, and returns how many they are.
func (g *group) answer(index uint64, base record.Offset) int {
	if g.answered == len(g.owners) || g.owners[g.answered].index != index {
		return 0
	}
	proposals := g.owners[g.answered].proposals
	g.answered++
	if g.answered == len(g.owners) {
		clear(g.owners)
		g.owners, g.answered = g.owners[:0], 0
	}
	for _, p := range proposals {
		p.Base = base
		if p.Kind == record.KindBatch {
			base += record.Offset(record.Batch(p.Payload).Count())
		}
		answer(p)
	}
	return len(proposals)
}

// forsake answers all proposals in Raft with err, and returns how many they are.
func (g *group) forsake(err error) int {
	n := 0
	for _, o := range g.owners[g.answered:] {
		n += len(o.proposals)
		for _, p := range o.proposals {
			p.Err = err
			answer(p)
		}
	}
	g.owners, g.answered = nil, 0
	return n
}
