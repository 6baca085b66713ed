package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// Group is one partition's log as a replica of a Raft group. It implements broker.Log, and commitlog.Source for the commit rounds.
//
// Concurrency: whatever comes from outside (proposals, messages, ticks, what is stored) goes into the inbox, under its mutex. A pass,
// one at a time, on one of the node's few workers, empties the inbox into the RawNode and carries out what Raft wants; it owns the
// fields so marked. What Raft wants stored goes through the queue of appends, which the commit rounds take from.
type Group struct {
	stored
	groups   *Groups
	id       broker.LogID
	config   GroupConfig
	machine  broker.Machine
	logger   *slog.Logger
	schedule schedule

	inbox   inbox
	appends appendQueue

	leader  atomic.Uint64 // the node that leads, as far as known here; 0 if none
	leading atomic.Bool   // this replica leads, has applied all of earlier terms, and takes proposals

	// Owned by the pass.

	node     *raft.RawNode
	storage  storage
	former   Former
	applied  tail                 // behind the last applied entry
	proposed tail                 // behind the last proposed entry, while leading
	owners   []owner              // of proposals in Raft, in their order
	assigned int                  // how many of the owners know their index
	clock    int                  // ticks since the start
	role     role                 // as of the last Ready
	move     *move                // leadership on its way to another replica; nil if it is not
	saved    vote                 // given to the votes file last
	dropped  []uint64             // replicas to which a message could not be sent in this pass
	fetching *fetch               // a snapshot on its way here
	sent     snapshotSent         // to a replica that is too far behind
	held     map[uint64]*heldBack // by replica
	failure  error
}

var (
	_ broker.Log       = (*Group)(nil)
	_ commitlog.Source = (*Group)(nil)
)

// GroupConfig says who the replicas of a log are.
type GroupConfig struct {
	// Self is the id of this node's replica. Ids of replicas are never reused.
	Self uint64
	// Replicas are the nodes of all replicas by replica id, this node's included: the voters of a new group.
	Replicas map[uint64]catalog.NodeID
	// Preferred is the replica that should lead when it can; 0 for none.
	Preferred uint64
}

// role is what Raft says this replica is.
type role struct {
	lead  uint64 // replica id
	state raft.StateType
	since int // ticks since the replica began, or ceased, to lead

	// While leading: when (in ticks, as since) to look next whether another replica should lead, how long the rest was after the
	// last attempt to hand over, and the last entry there was at the last look, or when this replica began to lead.
	handOverAt, handOverRest int
	seen                     uint64
	missed                   map[uint64]int // how often a replica did not take leadership over when it should, by replica id
}

// owner is who proposed an entry.
type owner struct {
	index, term uint64
	since       int // the clock when it was proposed
	proposals   []*broker.Proposal
}

// inbox is what waits for the next pass.
type inbox struct {
	sync.Mutex
	idle        *sync.Cond // outstanding has become 0
	proposals   []*broker.Proposal
	messages    []*raftpb.Message // of other replicas
	bytes       int               // of the messages
	responses   []*raftpb.Message // what Raft is to hear about what it wanted stored
	ticks       int
	calls       []func()
	outstanding int // proposals taken and not answered
	closed      bool
	failed      error
}

// work is what one pass took from the inbox.
type work struct {
	proposals []*broker.Proposal
	messages  []*raftpb.Message
	responses []*raftpb.Message
	ticks     int
	calls     []func()
}

// Start implements broker.Log: what is committed above index is applied as soon as the group says so.
func (g *Group) Start(above record.Index) error {
	if err := g.look(); err != nil {
		return err
	}
	if err := g.startRaft(uint64(above)); err != nil {
		return fmt.Errorf("start replica %d of log %016x-%d: %w", g.config.Self, g.id.Topic, g.id.Partition, err)
	}
	g.groups.add(g)
	g.encourage()
	return nil
}

// encourage lets the preferred replica seek election at once, and again a few times, as long as there is no leader: the others may not
// have opened their logs yet. Where there is a leader that this replica has only not heard of, the others do not listen.
func (g *Group) encourage() {
	if g.config.Preferred != g.config.Self {
		return
	}
	const first, last = 5 * time.Millisecond, 200 * time.Millisecond
	g.call(func() { g.campaignUntilLed(first, last) })
}

func (g *Group) campaignUntilLed(wait, last time.Duration) {
	if g.role.lead != raft.None || g.failure != nil {
		return
	}
	if g.role.state != raft.StateCandidate { // its votes are on their way
		_ = g.node.Campaign()
	}
	if wait > last {
		return // the group's own timeouts go on
	}
	time.AfterFunc(wait, func() { g.call(func() { g.campaignUntilLed(2*wait, last) }) })
}

// Propose implements broker.Log.
func (g *Group) Propose(p *broker.Proposal) {
	if err := g.admit(p); err != nil {
		p.Err = err
		answer(p)
		return
	}
	g.wake()
}

// admit puts p into the inbox, or returns why not.
func (g *Group) admit(p *broker.Proposal) error {
	isBatch := p.Kind == record.KindBatch
	if isBatch {
		g.groups.space.spend(len(p.Payload))
		g.groups.pace.published.Add(int64(len(p.Payload)))
	}
	g.inbox.Lock()
	defer g.inbox.Unlock()
	switch {
	case g.inbox.failed != nil:
		return g.inbox.failed
	case g.inbox.closed:
		return broker.ErrClosed
	case !g.leading.Load():
		return broker.ErrNotLeader
	case isBatch && g.groups.space.low.Load():
		return broker.ErrFull
	}
	g.inbox.proposals = append(g.inbox.proposals, p)
	g.inbox.outstanding++
	return nil
}

// answered counts proposals that were answered.
func (g *Group) answered(n int) {
	if n == 0 {
		return
	}
	g.inbox.Lock()
	defer g.inbox.Unlock()
	if g.inbox.outstanding -= n; g.inbox.outstanding == 0 {
		g.inbox.idle.Broadcast()
	}
}

// call runs fn in the next pass, unless the group has ended.
func (g *Group) call(fn func()) {
	g.inbox.Lock()
	g.inbox.calls = append(g.inbox.calls, fn)
	g.inbox.Unlock()
	g.wake()
}

// wake has a worker make a pass.
func (g *Group) wake() { g.groups.workers.enqueue(g) }

// receive takes a message of another replica, which came in a frame of so many bytes.
func (g *Group) receive(m *raftpb.Message, bytes int) {
	g.inbox.Lock()
	b := &g.inbox
	if b.failed == nil && !b.closed && len(b.messages) < inboxMessages && b.bytes < inboxBytes {
		b.messages, b.bytes = append(b.messages, m), b.bytes+bytes
	}
	g.inbox.Unlock()
	g.wake()
}

// What waits for a pass of one group is bounded, in messages and in bytes; Raft repeats what is dropped.
const (
	inboxMessages = 4096
	inboxBytes    = 2 * inflightBytes
)

func (g *Group) take() work {
	g.inbox.Lock()
	defer g.inbox.Unlock()
	b := &g.inbox
	w := work{b.proposals, b.messages, b.responses, b.ticks, b.calls}
	b.proposals, b.messages, b.bytes, b.responses, b.ticks, b.calls = nil, nil, 0, nil, 0, nil
	return w
}

// Close implements broker.Log. What waits is committed or, after a while, of unknown outcome.
func (g *Group) Close() error {
	g.inbox.Lock()
	g.inbox.closed = true
	late := false
	timer := time.AfterFunc(closePatience, func() {
		g.inbox.Lock()
		defer g.inbox.Unlock()
		late = true
		g.inbox.idle.Broadcast()
	})
	for g.inbox.outstanding > 0 && g.inbox.failed == nil && !late {
		g.inbox.idle.Wait()
	}
	timer.Stop()
	g.inbox.Unlock()
	g.groups.remove(g)
	g.schedule.end()
	g.releaseAll()
	g.abandon(broker.ErrUnknown, broker.ErrClosed)
	return translate(g.log().Close())
}

// closePatience is how long Close waits for proposals under way.
const closePatience = 3 * time.Second

// abandon answers all proposals: those in Raft with inRaft, those that wait with waiting. No pass runs beside it.
func (g *Group) abandon(inRaft, waiting error) {
	n := g.forsake(inRaft)
	for _, p := range g.take().proposals {
		p.Err = waiting
		answer(p)
		n++
	}
	g.answered(n)
}

// forsake answers all proposals in Raft with err, and returns how many they are.
func (g *Group) forsake(err error) int {
	n := 0
	for _, o := range g.owners {
		for _, p := range o.proposals {
			p.Err = err
			answer(p)
			n++
		}
	}
	g.owners, g.assigned = nil, 0
	return n
}

// fail ends this replica: it does not vote, lead or store any more. The others go on. It belongs to a pass.
func (g *Group) fail(err error) {
	if g.failure != nil {
		return
	}
	g.failure = err
	final := fmt.Errorf("%w: %w", broker.ErrFailed, err)
	g.logger.Error("replica has failed: it neither votes nor leads; the others go on without it", slog.Any("error", err))
	g.inbox.Lock()
	g.inbox.failed = final
	g.inbox.Unlock()
	g.leader.Store(0)
	if g.leading.Swap(false) {
		g.machine.Lead(false)
	}
	g.move = nil
	g.releaseAll()
	g.abandon(fmt.Errorf("%w: %w", broker.ErrUnknown, err), final)
	g.inbox.Lock()
	g.inbox.idle.Broadcast()
	g.inbox.Unlock()
	g.machine.Failed(final)
}

// errRaft is what a broken invariant of the library ends in.
var errRaft = errors.New("raft stopped")
