package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// luck is how likely what was not synced is to survive one power cut. It differs from crash to crash, so that both
// extremes, all or nothing, come up as often as mixtures.
type luck float64

func newLuck(rng *rand.Rand) luck {
	return [...]luck{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)]
}

func (l luck) survives(rng *rand.Rand) bool { return rng.Float64() < float64(l) }

// Ops returns how many mutating operations there have been, failed ones included: creates, writes, syncs, truncates,
// renames, removes, new directories, directory syncs and locks.
func (m *Mem) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

// CrashAfter stops the disk during the n-th mutating operation from now. That operation fails with ErrCrashed, and so does
// everything after it; by the disk's seed it was done, partly done (a prefix of a write, some files of a SyncAll), or not
// done. n <= 0 stops the disk at once. Crash or Kill then tell how the disk comes up again.
func (m *Mem) CrashAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n <= 0 {
		m.stopped = true
		return
	}
	m.stopAt = m.ops + n
}

// Stopped tells whether the disk has stopped, by CrashAfter, Crash or Kill.
func (m *Mem) Stopped() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped
}

// Kill stops the disk and returns it as the next process finds it: everything written is there, synced or not, and what
// was not durable still is not. Locks are free, open files are gone, capacity and seed stay.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	return m.cloneLocked()
}

// Clone returns what Kill would, and the disk goes on. The two share nothing that changes.
func (m *Mem) Clone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cloneLocked()
}

func (m *Mem) cloneLocked() *Mem {
	k := killing{copies: map[*memNode]*memNode{}}
	root := k.node(m.root)
	pending := make([]*dirOp, len(m.pending))
	for i, op := range m.pending {
		changes := slices.Clone(op.changes)
		for j := range changes {
			changes[j].dir, changes[j].to = k.node(changes[j].dir), k.node(changes[j].to)
		}
		pending[i] = &dirOp{changes}
	}
	next := newMem(m.seed, root, pending)
	next.capacityBlocks = m.capacityBlocks
	return next
}

// killing copies the nodes of a disk, durable and not.
type killing struct{ copies map[*memNode]*memNode }

func (k killing) node(n *memNode) *memNode {
	if n == nil || k.copies[n] != nil {
		return k.copies[n]
	}
	if !n.isDir() {
		k.copies[n] = &memNode{file: n.file.clone()}
		return k.copies[n]
	}
	c := newMemDir()
	k.copies[n] = c
	for name, child := range n.entries {
		c.entries[name] = k.node(child)
	}
	for name, child := range n.durable {
		c.durable[name] = k.node(child)
	}
	return c
}

// Crash stops the disk and returns it as it may come up after a power cut, by the model of Mem. One disk may be crashed
// several times, with different seeds, to see different outcomes of the same cut. All of the new disk is durable. It
// keeps the capacity.
func (m *Mem) Crash(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	rng := rand.New(rand.NewPCG(m.seed, seed))
	c := crashing{
		rng:    rng,
		data:   newLuck(rng),
		names:  map[*memNode]map[string]*memNode{},
		copies: map[*memNode]*memNode{},
	}
	c.replay(m.pending, newLuck(rng))
	next := newMem(seed, c.node(m.root), nil)
	next.capacityBlocks = m.capacityBlocks
	return next
}

// crashing builds the disk that a power cut leaves.
type crashing struct {
	rng    *rand.Rand
	data   luck
	names  map[*memNode]map[string]*memNode // of directories that surviving operations changed
	copies map[*memNode]*memNode
}

// replay decides which directory operations reached the disk. One that builds on a lost one is lost too.
func (c *crashing) replay(pending []*dirOp, luck luck) {
	var lost []*dirOp
	for _, op := range pending {
		if slices.ContainsFunc(lost, op.touches) || !luck.survives(c.rng) {
			lost = append(lost, op)
			continue
		}
		for _, ch := range op.changes {
			if c.names[ch.dir] == nil {
				c.names[ch.dir] = maps.Clone(ch.dir.durable)
			}
			setName(c.names[ch.dir], ch.name, ch.to)
		}
	}
}

// node copies a node and what hangs below it, in the order of names, so that a seed always means the same.
func (c *crashing) node(n *memNode) *memNode {
	if c.copies[n] != nil {
		return c.copies[n]
	}
	if !n.isDir() {
		c.copies[n] = &memNode{file: n.file.crash(c.rng, c.data)}
		return c.copies[n]
	}
	names := n.durable
	if changed, ok := c.names[n]; ok {
		names = changed
	}
	out := newMemDir()
	c.copies[n] = out
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child := c.node(names[name])
		out.entries[name], out.durable[name] = child, child
	}
	return out
}
