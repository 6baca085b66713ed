package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/vfs"
)

// LogID names a log, as broker and commitlog do.
type LogID = broker.LogID

// GroupsOptions configure Groups.
type GroupsOptions struct {
	// Store holds the logs; it stays the caller's. FS and Dir say where the votes lie: beside them.
	Store *commitlog.Store
	FS    vfs.FS
	Dir   string
	// Space is the watch over the disk.
	Space *Space
	// Self is this node.
	Self catalog.NodeID
	// Peers are the connections to the others.
	Peers Peers
	// Forgetful says why the disk may have lost what it had promised; "" if it has not. Replicas that hold anything do not start
	// then.
	Forgetful string
	// Known says that the node had votes before: a missing file was lost.
	Known bool
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// Tick is the unit of Raft's time. A leader that is not heard of for 8 to 16 ticks is replaced. Default 200ms.
	Tick time.Duration
	// Workers make the passes of all groups. Default: as many as there are processors, at least 2.
	Workers int
}

// Groups are the Raft groups of a node. All methods may be called from any goroutine.
type Groups struct {
	options  GroupsOptions
	store    *commitlog.Store
	space    *Space
	self     catalog.NodeID
	peers    Peers
	logger   *slog.Logger
	votes    *votes
	workers  *workers
	stop     context.CancelFunc
	runs     sync.WaitGroup
	stopping atomic.Bool
	pace     pace

	mu   sync.RWMutex
	byID map[LogID]*Group
}

// NewGroups reads the votes of a node and starts Raft's clock. Close stops it. An error names the file that is damaged or missing.
func NewGroups(o GroupsOptions) (*Groups, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Tick == 0 {
		o.Tick = 200 * time.Millisecond
	}
	if o.Workers == 0 {
		o.Workers = max(2, runtime.GOMAXPROCS(0))
	}
	gs := &Groups{options: o, store: o.Store, space: o.Space, self: o.Self, peers: o.Peers, logger: o.Logger, byID: make(map[LogID]*Group)}
	var err error
	if gs.votes, err = openVotes(o.FS, o.Dir, o.Known); err != nil {
		return nil, err
	}
	gs.workers = newWorkers(o.Workers)
	ctx, stop := context.WithCancel(context.Background())
	gs.stop = stop
	gs.runs.Go(func() { gs.tick(ctx) })
	return gs, nil
}

// Close ends the clock and the workers. The groups must be closed before.
func (gs *Groups) Close() error {
	gs.stop()
	gs.runs.Wait()
	gs.workers.close()
	return gs.votes.close()
}

// tick advances Raft's clock in all groups.
func (gs *Groups) tick(ctx context.Context) {
	ticker := time.NewTicker(gs.options.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			gs.pace.tick(gs.options.Tick)
			gs.each((*Group).tick)
		}
	}
}

// tick counts a tick for the next pass. Those that a busy or frozen node missed are not made up for: nobody was heard meanwhile.
func (g *Group) tick() {
	g.inbox.Lock()
	g.inbox.ticks = min(g.inbox.ticks+1, 2)
	g.inbox.Unlock()
	g.wake()
}

// list returns all groups.
func (gs *Groups) list() []*Group {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	list := make([]*Group, 0, len(gs.byID))
	for _, g := range gs.byID {
		list = append(list, g)
	}
	return list
}

// each calls fn with all groups.
func (gs *Groups) each(fn func(*Group)) {
	for _, g := range gs.list() {
		fn(g)
	}
}

func (gs *Groups) group(id LogID) *Group {
	gs.mu.RLock()
	defer gs.mu.RUnlock()
	return gs.byID[id]
}

func (gs *Groups) add(g *Group) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.byID[g.id] = g
}

func (gs *Groups) remove(g *Group) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.byID[g.id] == g {
		delete(gs.byID, g.id)
	}
}

// Open recovers this node's replica of a log for machine, or makes it if it was never made. Nothing is applied before Start. Errors:
// damage, or that the log or its vote is missing though there was one; such a replica must neither vote nor lead.
func (gs *Groups) Open(id LogID, machine broker.Machine, config GroupConfig) (*Group, error) {
	g := &Group{groups: gs, id: id, config: config, machine: machine,
		logger: gs.logger.With(slog.String("log", commitlog.LogID(id).String()), slog.Uint64("replica", config.Self))}
	g.inbox.idle = sync.NewCond(&g.inbox)
	g.schedule = schedule{workers: gs.workers, idle: sync.NewCond(&gs.workers.mu)}
	g.damaged = func(err error) { g.call(func() { g.fail(err) }) }
	disk, err := gs.openDisk(id, g, config.Self)
	if err != nil {
		return nil, err
	}
	if disk.Repaired() {
		return nil, errors.Join(errors.New("the log was repaired and lacks entries that this replica had promised to keep: it must not vote, and waits to be rebuilt"),
			disk.Close())
	}
	g.disk.Store(disk)
	return g, nil
}

// openDisk opens the log of a replica. A replica that was made has a vote: what is missing then was lost.
func (gs *Groups) openDisk(id LogID, source commitlog.Source, self uint64) (*commitlog.Log, error) {
	stored, made := gs.votes.get(id)
	if made && stored.replica != self {
		return nil, fmt.Errorf("%s has the vote of replica %d, but this is replica %d: another one was here before", votesName, stored.replica, self)
	}
	disk, err := gs.store.Open(commitlog.LogID(id), source, commitlog.LogOptions{})
	switch {
	case errors.Is(err, commitlog.ErrNotFound) && made:
		return nil, fmt.Errorf("the log is missing, but the replica has voted: its disk has lost it: %w", err)
	case errors.Is(err, commitlog.ErrNotFound):
		if err := gs.store.Create(commitlog.LogID(id)); err != nil {
			return nil, err
		}
		if disk, err = gs.store.Open(commitlog.LogID(id), source, commitlog.LogOptions{}); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	}
	// A replica that has voted may have had entries, also if it has none any more.
	if made && gs.options.Forgetful != "" && (stored.term > 0 || disk.Bounds().LastIndex > 0) {
		return nil, errors.Join(errors.New(gs.options.Forgetful), disk.Close())
	}
	if made {
		return disk, nil
	}
	if disk.Bounds().LastIndex > 0 {
		return nil, errors.Join(fmt.Errorf("the replica's vote is missing from %s, but its log has entries: the disk has lost it", votesName), disk.Close())
	}
	if err := gs.votes.store(id, vote{replica: self}); err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return disk, nil
}

// Delete removes this node's replica of a closed log, and its vote.
func (gs *Groups) Delete(id LogID) error {
	if err := gs.store.Delete(commitlog.LogID(id)); err != nil && !errors.Is(err, commitlog.ErrNotFound) {
		return err
	}
	return gs.votes.store(id, vote{})
}

// Receive takes a frame of another node. The frame is the callee's. An error means that it is malformed; what is out of date or for
// a log that is not here is dropped.
func (gs *Groups) Receive(from catalog.NodeID, frame []byte) error {
	id, m, err := decodeMessage(frame)
	if err != nil {
		return err
	}
	g := gs.group(id)
	switch {
	case g == nil, m.GetTo() != g.config.Self, g.config.Replicas[m.GetFrom()] != from:
	case m.GetType() == raftpb.MsgTimeoutNow && (gs.stopping.Load() || gs.space.low.Load()): // it would not serve: somebody else may
	default:
		g.receive(m, len(frame))
	}
	return nil
}

// Leader returns the node that leads a log, as far as this node's replica knows; 0 if it does not, or there is none.
func (gs *Groups) Leader(id LogID) catalog.NodeID {
	if g := gs.group(id); g != nil {
		return catalog.NodeID(g.leader.Load())
	}
	return 0
}

// Up reports that a node is there: logs without a leader may get one now.
func (gs *Groups) Up(catalog.NodeID) { gs.each((*Group).encourage) }

// Down reports that a node is gone: the logs that it led get other leaders at once, where waiting would take seconds.
func (gs *Groups) Down(node catalog.NodeID) {
	gs.each(func(g *Group) { g.call(func() { g.nodeDown(node) }) })
}

// nodeDown seeks election if the leader is gone. The replicas try one after another, so that they do not split the votes.
func (g *Group) nodeDown(node catalog.NodeID) {
	lead := g.role.lead
	if lead == raft.None || lead == g.config.Self || g.config.Replicas[lead] != node {
		return
	}
	_ = g.node.ForgetLeader()
	turn := time.Duration(0)
	for id := range g.config.Replicas {
		if id != lead && (id-lead)%turnModulus < (g.config.Self-lead)%turnModulus {
			turn++
		}
	}
	g.campaignAfter(turn * g.groups.options.Tick / 2)
}

// turnModulus orders replicas by their distance behind the leader that is gone.
const turnModulus = 1 << 32

func (g *Group) campaignAfter(wait time.Duration) {
	campaign := func() {
		if g.role.lead == raft.None || g.node.BasicStatus().Lead == raft.None {
			_ = g.node.Campaign()
		}
	}
	if wait == 0 {
		campaign()
		return
	}
	time.AfterFunc(wait, func() { g.call(campaign) })
}

// othersUp tells whether there is anybody to hand leadership to.
func (g *Group) othersUp() bool {
	for id, node := range g.config.Replicas {
		if id != g.config.Self && g.groups.peers.Up(node) {
			return true
		}
	}
	return false
}

// handOverLag is how many entries a replica may lag behind to be given the leadership of a node that stops: it gets them on the way.
const handOverLag = 256

// Handover gives the leadership of all logs that this node leads to others, and takes none any more: to the replica that has most,
// and if that does not take over in time, to the next. It returns when that is done, or when ctx ends. The others should know by then
// that this node is about to stop, or they hand it back.
func (gs *Groups) Handover(ctx context.Context) {
	gs.stopping.Store(true)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		left := 0
		gs.each(func(g *Group) {
			if g.leader.Load() == uint64(gs.self) && g.othersUp() {
				left++
				g.call(func() { g.transfer(func(_, match uint64) bool { return match+handOverLag >= g.lastIndex() }) })
			}
		})
		if left == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}
