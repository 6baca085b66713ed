package replica

import (
	"cmp"
	"context"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/weirmq/weir/internal/catalog"
)

// GroupStatus describes this node's replica of a log.
type GroupStatus struct {
	ID        LogID
	Self      uint64         // this node's replica
	Leader    catalog.NodeID // 0 if none is known here
	Preferred catalog.NodeID // 0 if none is
	Term      uint64
	LastIndex uint64 // of the newest entry here
	Applied   uint64
	Problem   string // why the replica neither votes nor leads; "" if it is well
	// Replicas are what the leader knows of all, by replica id. Empty on the others.
	Replicas []ReplicaStatus
}

// ReplicaStatus is what a leader knows of a replica.
type ReplicaStatus struct {
	ID     uint64
	Node   catalog.NodeID
	Match  uint64 // the last entry that it is known to hold
	Active bool   // heard of lately
	State  string // "leader"; how the leader sends: "probe", "replicate", "snapshot"
}

// Status describes all replicas of this node, by log, as of about now: those that do not answer before ctx ends are left out.
func (gs *Groups) Status(ctx context.Context) []GroupStatus {
	groups := gs.list()
	answers := make(chan GroupStatus, len(groups))
	for _, g := range groups {
		if err := g.failed(); err != nil {
			answers <- GroupStatus{ID: g.id, Self: g.config.Self, Problem: err.Error()}
			continue
		}
		g.call(func() { answers <- g.status() })
	}
	status := make([]GroupStatus, 0, len(groups))
	for range groups {
		select {
		case s := <-answers:
			status = append(status, s)
			continue
		case <-ctx.Done():
		}
		break
	}
	slices.SortFunc(status, func(a, b GroupStatus) int {
		return cmp.Or(cmp.Compare(a.ID.Topic, b.ID.Topic), cmp.Compare(a.ID.Partition, b.ID.Partition))
	})
	return status
}

func (g *Group) failed() error {
	g.inbox.Lock()
	defer g.inbox.Unlock()
	return g.inbox.failed
}

// status belongs to a pass.
func (g *Group) status() GroupStatus {
	basic := g.node.BasicStatus()
	last := uint64(g.log().Bounds().LastIndex)
	s := GroupStatus{ID: g.id, Self: g.config.Self, Leader: catalog.NodeID(g.leader.Load()), Preferred: g.config.Replicas[g.config.Preferred],
		Term: basic.GetTerm(), LastIndex: last, Applied: basic.Applied}
	if basic.RaftState != raft.StateLeader {
		return s
	}
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		r := ReplicaStatus{ID: id, Node: g.config.Replicas[id], Match: p.Match, Active: p.RecentActive}
		switch {
		case id == g.config.Self:
			r.State, r.Active = "leader", true
		case p.State == tracker.StateReplicate:
			r.State = "replicate"
		case p.State == tracker.StateSnapshot:
			r.State = "snapshot"
		default:
			r.State = "probe"
		}
		s.Replicas = append(s.Replicas, r)
	})
	slices.SortFunc(s.Replicas, func(a, b ReplicaStatus) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
