package node

import (
	"cmp"
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster"
	"github.com/weirmq/weir/internal/nsqhttp"
	"github.com/weirmq/weir/internal/vfs"
)

// v1 returns Weir's own API of this node, to be served by the door with these options.
func (n *Node) v1(door *nsqhttp.Options) *api.Server {
	o := &n.options
	options := api.Options{
		Logger: o.Logger, Started: door.Started, BroadcastAddress: door.BroadcastAddress, Hostname: door.Hostname,
		TCPPort: door.TCPPort, HTTPPort: door.HTTPPort, Sync: o.Store.Sync.String(), DataPath: o.DataPath,
		Space: func() (total, free int64, err error) {
			usage, err := vfs.Disk().Usage(o.DataPath)
			return usage.Total, usage.Free, err
		},
		MaxMsgSize: o.TCP.MaxMsgSize, MaxDelay: o.TCP.MaxReqTimeout,
	}
	if n.member.cluster != nil {
		options.Cluster = n.describeCluster
	}
	return api.New(n.broker, &n.syncs, options)
}

// describeCluster puts what the cluster knows and what the catalog knows together.
func (n *Node) describeCluster(ctx context.Context) api.Cluster {
	status := n.member.cluster.Status(ctx)
	view := api.Cluster{Enabled: true, Cluster: fmt.Sprintf("%016x", status.ClusterID), Self: status.Self, Nodes: []api.ClusterNode{},
		Partitions: []api.ClusterPartition{}}
	known := make(map[catalog.NodeID]catalog.Node)
	for _, x := range n.broker.Nodes() {
		known[x.ID] = x
	}
	for _, x := range status.Nodes {
		k := known[x.Node]
		view.Nodes = append(view.Nodes, api.ClusterNode{ID: x.Node, Name: cmp.Or(k.Name, x.Address), Host: k.Host, TCPPort: k.Ports.TCP, HTTPPort: k.Ports.HTTP,
			PeerAddress: x.Address, Up: x.Up, Stopping: x.Stopping, RTTMicros: x.RTT.Microseconds(), Problem: x.Problem})
	}
	names := make(map[uint64]string)
	for _, t := range n.broker.Placements() {
		names[t.ID] = t.Name
	}
	for _, l := range status.Logs {
		if name, ok := names[l.ID.Topic]; ok || l.ID.Topic == 0 { // one that is being deleted has no name any more, and is not the catalog
			view.Partitions = append(view.Partitions, describeLog(l, name))
		}
	}
	return view
}

func describeLog(l cluster.LogStatus, topic string) api.ClusterPartition {
	p := api.ClusterPartition{Topic: topic, Partition: l.ID.Partition, Leader: l.Leader, Preferred: l.Preferred, Term: l.Term, Last: l.LastIndex,
		Applied: l.Applied, Problem: l.Problem, Replicas: []api.ClusterReplica{}}
	for _, r := range l.Replicas {
		p.Replicas = append(p.Replicas, api.ClusterReplica{ID: r.ID, Node: r.Node, Match: r.Match, Lag: l.LastIndex - min(r.Match, l.LastIndex),
			Active: r.Active, State: r.State})
	}
	return p
}
