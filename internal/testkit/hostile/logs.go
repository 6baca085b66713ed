package hostile

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
)

// Logs is one node's logs. It implements broker.Logs, for any number of goroutines.
type Logs struct {
	options Options
	world   *world

	tight atomic.Bool

	mu struct {
		sync.Mutex
		disks map[broker.LogID]*disk
		open  map[broker.LogID]*Log
	}
}

// world holds the groups that the nodes of a test share.
type world struct {
	mu struct {
		sync.Mutex
		groups map[broker.LogID]*group
		disks  map[*group]int // how many nodes have a copy
	}
}

var _ broker.Logs = (*Logs)(nil)

// New returns a node without logs. It panics if the options are not valid.
func New(o Options) *Logs {
	w := &world{}
	w.mu.groups = make(map[broker.LogID]*group)
	w.mu.disks = make(map[*group]int)
	return newNode(w, o)
}

// Join returns one more node of the same cluster. A log that it creates holds what the others' log of that id holds; its
// machine follows, later, and may be elected.
func (n *Logs) Join(o Options) *Logs { return newNode(n.world, o) }

func newNode(w *world, o Options) *Logs {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	n := &Logs{options: o, world: w}
	n.mu.disks = make(map[broker.LogID]*disk)
	n.mu.open = make(map[broker.LogID]*Log)
	return n
}

// join returns the group of a log for one more disk, making it if it is the first.
func (w *world) join(id broker.LogID, seed uint64) *group {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.mu.groups[id]
	if g == nil {
		g = newGroup(id, seed)
		w.mu.groups[id] = g
	}
	w.mu.disks[g]++
	return g
}

// leave forgets a group with its last disk.
func (w *world) leave(g *group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.disks[g]--
	if w.mu.disks[g] == 0 {
		delete(w.mu.disks, g)
		delete(w.mu.groups, g.id)
	}
}

// Create makes an empty log, or on a further node an empty copy of one. It fails if the node has it.
func (n *Logs) Create(id broker.LogID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.disks[id] != nil {
		return fmt.Errorf("create log %x/%d: it exists", id.Topic, id.Partition)
	}
	n.mu.disks[id] = newDisk(n.world.join(id, n.options.Seed))
	return nil
}

// Open opens an existing log for machine. It fails if the log is open.
func (n *Logs) Open(id broker.LogID, machine broker.Machine) (broker.Log, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.mu.disks[id]
	if d == nil {
		return nil, fmt.Errorf("open log %x/%d: there is none", id.Topic, id.Partition)
	}
	if n.mu.open[id] != nil {
		return nil, fmt.Errorf("open log %x/%d: it is open", id.Topic, id.Partition)
	}
	l := newLog(n, d, machine)
	n.mu.open[id] = l
	return l, nil
}

// Delete removes a closed log from this node. The log is forgotten with its last copy.
func (n *Logs) Delete(id broker.LogID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.mu.disks[id]
	if d == nil {
		return fmt.Errorf("delete log %x/%d: there is none", id.Topic, id.Partition)
	}
	if n.mu.open[id] != nil {
		return fmt.Errorf("delete log %x/%d: it is open", id.Topic, id.Partition)
	}
	delete(n.mu.disks, id)
	n.world.leave(d.group)
	return nil
}

// List returns the logs of the node.
func (n *Logs) List() ([]broker.LogID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.mu.disks)), nil
}

// Log returns the open log of that id, for a test that wants to step or trouble it; nil if it is not open.
func (n *Logs) Log(id broker.LogID) *Log {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.open[id]
}

// closed forgets an open log.
func (n *Logs) closed(l *Log) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.open[l.group.id] == l {
		delete(n.mu.open, l.group.id)
	}
}

// Crash ends every open log of the node as kill -9 and a power cut would: no machine or owner hears anything any more.
// What is committed stays; of the uncommitted tail of a log that the node led any first part stays; of its checkpoints any
// stays that the trimmed log needs. The old logs answer ErrClosed; the node can open its logs again at once.
func (n *Logs) Crash() {
	n.mu.Lock()
	open := slices.Collect(maps.Values(n.mu.open))
	n.mu.Unlock()
	for _, l := range open {
		l.crash()
	}
}

// Ship copies the newest checkpoint of a log and its segments to another node that has an empty copy of it, as a Raft
// snapshot does. The log must not be open there.
func (n *Logs) Ship(id broker.LogID, to *Logs) error {
	n.mu.Lock()
	from := n.mu.disks[id]
	n.mu.Unlock()
	to.mu.Lock()
	target, open := to.mu.disks[id], to.mu.open[id]
	to.mu.Unlock()
	if from == nil || target == nil || open != nil {
		return fmt.Errorf("ship log %x/%d: both nodes must have it, closed on the second", id.Topic, id.Partition)
	}
	g := from.group
	g.mu.Lock()
	defer g.mu.Unlock()
	target.copyLocked(from)
	return nil
}

// SetTight says that space runs low, or does not any more.
func (n *Logs) SetTight(tight bool) { n.tight.Store(tight) }

// Tight implements broker.Logs.
func (n *Logs) Tight() bool { return n.tight.Load() }

// Healthy returns nil, or an error of the first open log that SetFull or Fail made refuse proposals.
func (n *Logs) Healthy() error {
	n.mu.Lock()
	open := slices.Collect(maps.Values(n.mu.open))
	n.mu.Unlock()
	for _, l := range open {
		l.group.mu.Lock()
		failed, full := l.mu.failed != nil, l.mu.full
		l.group.mu.Unlock()
		switch {
		case failed:
			return l.wrap(broker.ErrFailed)
		case full:
			return l.wrap(broker.ErrFull)
		}
	}
	return nil
}
