package cluster

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/replica"
)

// Status is the cluster as one node sees it.
type Status struct {
	ClusterID uint64
	Self      catalog.NodeID
	Nodes     []NodeStatus
	// Logs are the replicas of this node, in order. The catalog's has topic id 0.
	Logs []LogStatus
}

// LogStatus describes this node's replica of a log.
type LogStatus = replica.GroupStatus

// NodeStatus describes a node.
type NodeStatus struct {
	Node     catalog.NodeID
	Address  string // of the connections between nodes; "" of this node itself
	Up       bool
	Stopping bool          // it has said that it is about to stop
	RTT      time.Duration // of the last ping; 0 of this node itself
	Problem  string        // why it is not connected; "" if it is
}

// statusWait bounds how long a busy node is asked for the state of its logs.
const statusWait = time.Second

// Status describes the cluster as of about now.
func (c *Cluster) Status(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	s := Status{ClusterID: c.options.Peer.ClusterID, Self: c.self, Logs: c.groups.Status(ctx)}
	known := map[broker.LogID]bool{}
	for _, l := range s.Logs {
		known[l.ID] = true
	}
	peers := map[catalog.NodeID]NodeStatus{}
	for _, p := range c.transport.Peers() {
		peers[p.Node] = NodeStatus{Node: p.Node, Address: p.Address, Up: p.Up, RTT: p.RTT, Problem: p.Problem}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, node := range c.options.Members {
		n, ok := peers[node]
		if !ok {
			n = NodeStatus{Node: node, Up: node == c.self}
		}
		n.Stopping = c.stopping[node]
		s.Nodes = append(s.Nodes, n)
	}
	for id, problem := range c.refusals {
		if !known[id] {
			s.Logs = append(s.Logs, LogStatus{ID: id, Self: c.places[id].own, Problem: problem.Error()})
		}
	}
	return s
}
