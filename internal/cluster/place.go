package cluster

import (
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/replica"
)

// catalogLog is the log of the catalog, which every member holds.
var catalogLog = broker.LogID{}

// place is who holds a log.
type place struct {
	replicas  map[uint64]catalog.NodeID
	own       uint64 // this node's replica; 0 if it has none
	preferred uint64
	nodes     []catalog.NodeID // of the replicas, the preferred one first
	local     bool             // there is one replica, and no Raft
	turn      int              // of nodes: the one to ask, if this node holds no replica. Guarded by Cluster.mu
}

// catalogPlace places the catalog: the id of a member's replica is the node's.
func catalogPlace(members []catalog.NodeID, self catalog.NodeID) *place {
	p := &place{replicas: make(map[uint64]catalog.NodeID), own: uint64(self), preferred: uint64(members[0]), nodes: members}
	for _, m := range members {
		p.replicas[uint64(m)] = m
	}
	return p
}

// Place implements broker.Cluster.
func (c *Cluster) Place(id broker.LogID, at catalog.Partition, local bool) {
	p := &place{replicas: make(map[uint64]catalog.NodeID), nodes: []catalog.NodeID{at.Preferred}, local: local}
	for _, r := range at.Replicas {
		p.replicas[r.ID] = r.Node
		if r.Node == c.self {
			p.own = r.ID
		}
		if r.Node == at.Preferred {
			p.preferred = r.ID
		} else {
			p.nodes = append(p.nodes, r.Node)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places[id] = p
}

func (c *Cluster) placeOf(id broker.LogID) *place {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.places[id]
}

// Leader implements broker.Cluster. Who holds no replica of a log guesses, and asks the next one after a refusal.
func (c *Cluster) Leader(id broker.LogID) catalog.NodeID {
	p := c.placeOf(id)
	switch {
	case p == nil:
		return 0
	case p.local:
		if c.reachable(p.nodes[0]) {
			return p.nodes[0]
		}
		return 0
	case p.own != 0:
		return c.groups.Leader(id)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range p.nodes {
		if node := p.nodes[(p.turn+i)%len(p.nodes)]; c.up[node] {
			return node
		}
	}
	return 0
}

// notLeader notes that a node does not lead a log.
func (c *Cluster) notLeader(id broker.LogID, node catalog.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.places[id]
	if p == nil {
		return
	}
	if i := slices.Index(p.nodes, node); i >= 0 {
		p.turn = i + 1
	}
}

// Create implements broker.Logs: a replica's log is made when it is opened first.
func (c *Cluster) Create(broker.LogID) error { return nil }

// Open implements broker.Logs.
func (c *Cluster) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := c.open(id, m)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.refusals, id)
	if err != nil {
		c.refusals[id] = err
	}
	return log, err
}

func (c *Cluster) open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	p := c.placeOf(id)
	switch {
	case p == nil || p.own == 0:
		return nil, fmt.Errorf("log %016x-%d is not placed on this node", id.Topic, id.Partition)
	case p.local:
		return c.alone.OpenReplica(id, m, c.groups, p.own)
	}
	return c.groups.Open(id, m, replica.GroupConfig{Self: p.own, Replicas: p.replicas, Preferred: p.preferred})
}

// Delete implements broker.Logs.
func (c *Cluster) Delete(id broker.LogID) error {
	err := c.groups.Delete(id)
	c.Displace(id)
	return err
}

// Displace implements broker.Cluster.
func (c *Cluster) Displace(id broker.LogID) {
	c.mu.Lock()
	delete(c.places, id)
	delete(c.refusals, id)
	r := c.relays[id]
	delete(c.relays, id)
	c.mu.Unlock()
	if r != nil {
		r.wake()
	}
}

// List implements broker.Logs.
func (c *Cluster) List() ([]broker.LogID, error) { return c.alone.List() }

// Healthy implements broker.Logs.
func (c *Cluster) Healthy() error { return c.alone.Healthy() }

// Tight implements broker.Logs.
func (c *Cluster) Tight() bool { return c.alone.Tight() }
