package replica

import (
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// How fast a node sends entries of long ago to replicas that were away, in bytes a second: as fast as is good for anything while
// nobody publishes here; else slowly, so that publishers hardly notice, but twice as fast as they publish, or it would never end.
const (
	catchUpIdle = 256 << 20
	catchUpBusy = 24 << 20
	// busyBytes is how much is published in a second at a node that counts as busy.
	busyBytes = 128 << 10
	// catchUpBurst is what may go at once after a pause, in bytes.
	catchUpBurst = 1 << 20
	// heldBytesMax bounds what waits for its turn in all groups; what is beyond is dropped, and Raft repeats it later.
	heldBytesMax = 64 << 20
	// longAgo is how many entries a replica may lack of what is committed without counting as away.
	longAgo = 64
)

// pace says when entries of long ago may be sent, for all groups of a node.
type pace struct {
	published atomic.Int64 // bytes since the last tick
	held      atomic.Int64 // bytes that wait

	mu   sync.Mutex
	rate float64   // bytes a second
	next time.Time // when all that was allowed so far is sent
}

// tick looks at what was published since the last one.
func (p *pace) tick(since time.Duration) {
	published := float64(p.published.Swap(0)) / since.Seconds()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = catchUpIdle
	if published > busyBytes {
		p.rate = max(catchUpBusy, 2*published)
	}
}

// turn returns when so many bytes may be sent.
func (p *pace) turn(bytes int, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 {
		p.rate = catchUpIdle
	}
	if earliest := now.Add(-time.Duration(catchUpBurst / p.rate * float64(time.Second))); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
	return p.next
}

// heldBack is what waits to be sent to one replica, in order: entries of long ago, and what came behind them. It belongs to the pass.
type heldBack struct {
	messages []heldMessage
}

type heldMessage struct {
	message *raftpb.Message
	bytes   int
	at      time.Time
}

// holdBack keeps an append back that has to wait, and reports whether it did.
func (g *Group) holdBack(m *raftpb.Message) bool {
	to := m.GetTo()
	queue := g.held[to]
	bytes := 0
	for _, e := range m.GetEntries() {
		bytes += len(e.GetData())
	}
	n := uint64(len(m.GetEntries()))
	if n == 0 && queue == nil {
		return false
	}
	now := time.Now()
	at := now
	if n > 0 && m.GetIndex()+n+longAgo < m.GetCommit() {
		at = g.groups.pace.turn(bytes, now)
	}
	if queue == nil && !at.After(now) {
		return false
	}
	if g.groups.pace.held.Load() > heldBytesMax {
		g.dropped = append(g.dropped, to)
		return true
	}
	g.groups.pace.held.Add(int64(bytes))
	if queue == nil {
		queue = &heldBack{}
		if g.held == nil {
			g.held = make(map[uint64]*heldBack)
		}
		g.held[to] = queue
		time.AfterFunc(at.Sub(now), func() { g.call(func() { g.release(to) }) })
	}
	queue.messages = append(queue.messages, heldMessage{m, bytes, at})
	return true
}

// release sends what has waited for long enough. It belongs to the pass.
func (g *Group) release(to uint64) {
	queue := g.held[to]
	if queue == nil {
		return
	}
	now := time.Now()
	for len(queue.messages) > 0 {
		next := queue.messages[0]
		if next.at.After(now) {
			time.AfterFunc(next.at.Sub(now), func() { g.call(func() { g.release(to) }) })
			return
		}
		queue.messages[0] = heldMessage{}
		queue.messages = queue.messages[1:]
		g.groups.pace.held.Add(-int64(next.bytes))
		if !g.transmit(next.message) {
			g.dropped = append(g.dropped, to)
		}
	}
	delete(g.held, to)
}

// releaseAll forgets what waits: this replica leads no more, or has ended.
func (g *Group) releaseAll() {
	for _, queue := range g.held {
		for _, m := range queue.messages {
			g.groups.pace.held.Add(-int64(m.bytes))
		}
	}
	g.held = nil
}
