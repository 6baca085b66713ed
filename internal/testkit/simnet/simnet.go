// Package simnet is the network between nodes in one process: it implements replica.Peers, and it drops, delays, doubles and
// reorders what it carries, and is cut between any two nodes in either direction.
//
// Its randomness comes from a seed; in a synctest bubble delays cost nothing.
package simnet

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/replica"
)

// Faults say how bad the network is. The zero value delivers everything at once and in order.
type Faults struct {
	Drop, Double float64       // share of the frames
	Delay        time.Duration // each frame takes up to so long, so that they overtake each other
}

// Network connects nodes. Its methods may be called from any goroutine.
type Network struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults Faults
	nodes  map[catalog.NodeID]*replica.Groups
	cut    map[[2]catalog.NodeID]bool
	counts Counts
}

// Counts say what became of the frames.
type Counts struct {
	Sent, Dropped, Doubled, Cut, Fetched int
}

// New returns a network without nodes.
func New(seed uint64) *Network {
	return &Network{rand: rand.New(rand.NewPCG(seed, 0)), nodes: make(map[catalog.NodeID]*replica.Groups), cut: make(map[[2]catalog.NodeID]bool)}
}

// Set changes the faults.
func (n *Network) Set(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

// Attach connects a node; nil takes it off.
func (n *Network) Attach(id catalog.NodeID, groups *replica.Groups) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if groups == nil {
		delete(n.nodes, id)
		return
	}
	n.nodes[id] = groups
}

// Cut stops (true) or resumes (false) what goes from one node to another.
func (n *Network) Cut(from, to catalog.NodeID, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if cut {
		n.cut[[2]catalog.NodeID{from, to}] = true
		return
	}
	delete(n.cut, [2]catalog.NodeID{from, to})
}

// Heal resumes everything.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}

// Counts returns what has happened so far.
func (n *Network) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// Peers returns the network as one node sees it.
func (n *Network) Peers(self catalog.NodeID) replica.Peers { return &peers{n, self} }

type peers struct {
	network *Network
	self    catalog.NodeID
}

// Send implements replica.Peers.
func (p *peers) Send(to catalog.NodeID, _ replica.Lane, frame [][]byte) bool {
	n := p.network
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts.Sent++
	copies := 1
	switch {
	case n.cut[[2]catalog.NodeID{p.self, to}]:
		n.counts.Cut++
		return n.rand.IntN(2) == 0 // a sender does not always notice
	case n.faults.Drop > 0 && n.rand.Float64() < n.faults.Drop:
		n.counts.Dropped++
		return n.rand.IntN(2) == 0
	case n.faults.Double > 0 && n.rand.Float64() < n.faults.Double:
		n.counts.Doubled++
		copies = 2
	}
	for range copies {
		var b []byte
		for _, part := range frame {
			b = append(b, part...)
		}
		delay := time.Duration(0)
		if n.faults.Delay > 0 {
			delay = time.Duration(n.rand.Int64N(int64(n.faults.Delay)))
		}
		time.AfterFunc(delay, func() { n.deliver(p.self, to, b) })
	}
	return true
}

func (n *Network) deliver(from, to catalog.NodeID, frame []byte) {
	n.mu.Lock()
	node := n.nodes[to]
	if n.cut[[2]catalog.NodeID{from, to}] || n.nodes[from] == nil {
		node = nil
	}
	n.mu.Unlock()
	if node == nil {
		return
	}
	if err := node.Receive(from, frame); err != nil {
		panic(err) // only whole frames travel
	}
}

// Up implements replica.Peers.
func (p *peers) Up(node catalog.NodeID) bool {
	p.network.mu.Lock()
	defer p.network.mu.Unlock()
	return p.network.nodes[node] != nil
}

var errUnreachable = errors.New("node cannot be reached")

// Fetch implements replica.Peers.
func (p *peers) Fetch(from catalog.NodeID, id replica.LogID) (io.ReadCloser, error) {
	n := p.network
	n.mu.Lock()
	node := n.nodes[from]
	if n.cut[[2]catalog.NodeID{from, p.self}] {
		node = nil
	}
	n.counts.Fetched++
	n.mu.Unlock()
	if node == nil {
		return nil, errUnreachable
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(node.Snapshot(id, w)) }()
	return r, nil
}
