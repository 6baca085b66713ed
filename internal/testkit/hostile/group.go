package hostile

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// A group is the truth about one log, shared by all nodes that hold it. Its mutex guards everything of the log on every
// node: disks, and the state of open logs.
type group struct {
	id broker.LogID

	mu struct {
		sync.Mutex
		rng       *rand.Rand
		committed []committed // entry of index i is at i-1
		tail      []pending   // appended, not committed; follows committed
		term      record.Term
		leader    *Log // the open log that leads; nil: a node outside the test does
		held      bool // Depose holds elections back until Elect
		open      []*Log
	}
}

// committed is a committed entry and what its payload must look like for ever.
type committed struct {
	entry *record.Entry
	sum   uint32
}

// pending is an entry of the tail.
type pending struct {
	committed
	from     *Log             // who proposed it; nil for entries of elections
	proposal *broker.Proposal // nil once its owner was answered
}

func newGroup(id broker.LogID, seed uint64) *group {
	g := &group{id: id}
	g.mu.rng = rand.New(rand.NewPCG(seed, id.Topic<<16|uint64(id.Partition)))
	return g
}

// chanceLocked is true with probability p. It draws a number only if p is a real probability, so that benign logs make
// the same choices whatever else is added.
func (g *group) chanceLocked(p float64) bool {
	return p > 0 && g.mu.rng.Float64() < p
}

// lastLocked returns the last entry, committed or not; nil in an empty log.
func (g *group) lastLocked() *record.Entry {
	if n := len(g.mu.tail); n > 0 {
		return g.mu.tail[n-1].entry
	}
	if n := len(g.mu.committed); n > 0 {
		return g.mu.committed[n-1].entry
	}
	return nil
}

// appendLocked stamps a proposal and adds it to the tail.
func (g *group) appendLocked(from *Log, p *broker.Proposal, now int64) {
	e := &record.Entry{Kind: p.Kind, Flags: p.Flags, Term: g.mu.term, Index: 1, Time: now, Payload: p.Payload}
	if last := g.lastLocked(); last != nil {
		e.Index = last.Index + 1
		e.Base = last.Next()
		e.Time = max(now, last.Time)
	}
	if e.Kind == record.KindBatch {
		record.Batch(e.Payload).Stamp(e.Base, int32(e.Term))
	}
	c := committed{entry: e, sum: crc32.ChecksumIEEE(e.Payload)}
	g.mu.tail = append(g.mu.tail, pending{committed: c, from: from, proposal: p})
}

// appendElectionLocked begins a term with the empty entry of its leader.
func (g *group) appendElectionLocked(now int64) {
	g.mu.term++
	g.appendLocked(nil, &broker.Proposal{Kind: record.KindRaft}, now)
	g.mu.tail[len(g.mu.tail)-1].proposal = nil
}

// commitLocked commits the first n entries of the tail. Owners still waiting are answered when the log that proposed the
// entry applies it.
func (g *group) commitLocked(n int) {
	for _, t := range g.mu.tail[:n] {
		t.check()
		g.mu.committed = append(g.mu.committed, t.committed)
		if t.proposal != nil {
			t.from.mu.waiting[t.entry.Index] = t.proposal
		}
	}
	g.mu.tail = append([]pending(nil), g.mu.tail[n:]...)
	g.wakeLocked()
}

// truncateLocked cuts the tail to its first n entries. Owners still waiting hear err from the log they proposed to.
func (g *group) truncateLocked(n int, err error) {
	for _, t := range g.mu.tail[n:] {
		if t.proposal != nil {
			t.from.refuseLocked(t.proposal, err)
		}
	}
	g.mu.tail = append([]pending(nil), g.mu.tail[:n]...)
	g.wakeLocked()
}

// dropLocked ends leadership, if the group has a leader, and cuts the tail at a random place. The owners of what survives
// hear ErrUnknown now, or the truth later; those of what is cut ErrNotLeader or ErrUnknown.
func (g *group) dropLocked() {
	if l := g.mu.leader; l != nil {
		g.mu.leader = nil
		l.mu.elected = 0
	}
	keep := 0
	if n := len(g.mu.tail); n > 0 {
		keep = g.mu.rng.IntN(n + 1)
	}
	tell := g.chanceLocked(0.5)
	for i := range g.mu.tail {
		t := &g.mu.tail[i]
		if t.proposal == nil || !tell && i < keep {
			continue
		}
		err := broker.ErrUnknown
		if i >= keep && g.chanceLocked(0.5) {
			err = broker.ErrNotLeader
		}
		t.from.refuseLocked(t.proposal, err)
		t.proposal = nil
	}
	g.truncateLocked(keep, broker.ErrNotLeader)
}

// wakeLocked wakes the goroutines of all open logs.
func (g *group) wakeLocked() {
	for _, l := range g.mu.open {
		l.wake()
	}
}

// wake is wakeLocked for a caller without the mutex.
func (g *group) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wakeLocked()
}

// check panics if the payload is not what was proposed: somebody wrote into memory that belongs to the log.
func (c *committed) check() {
	if crc32.ChecksumIEEE(c.entry.Payload) != c.sum {
		panic(fmt.Sprintf("hostile: the payload of entry %d was changed after it was proposed", c.entry.Index))
	}
}
