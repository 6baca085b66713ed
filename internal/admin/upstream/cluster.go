package upstream

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/weirmq/weir/internal/nsqwire"
)

// Limits of what one node may say of its cluster.
const (
	maxClusterNodes  = 256
	maxPartitions    = 50_000
	maxReplicas      = 16
	maxProblemLength = 500
)

// ClusterView is the cluster as one node sees it: the answer of /v1/cluster, as far as it is shown; see docs/openapi.yaml.
type ClusterView struct {
	Enabled    bool            `json:"enabled"`
	Cluster    string          `json:"cluster"`
	Self       uint64          `json:"self"`
	Nodes      []ClusterNode   `json:"nodes"`
	Partitions []PartitionView `json:"partitions"`
}

// ClusterNode is a member of the cluster.
type ClusterNode struct {
	ID       uint64 `json:"id"`
	Label    string `json:"name"`
	Host     string `json:"host"`
	HTTPPort int    `json:"http_port"`
	Up       bool   `json:"up"`
	Stopping bool   `json:"stopping"`
	Problem  string `json:"problem"`
}

// Name is host:http_port, as that of a Node.
func (n *ClusterNode) Name() string { return net.JoinHostPort(n.Host, strconv.Itoa(n.HTTPPort)) }

// PartitionView is a partition of which the node holds a replica. The catalog's has no topic.
type PartitionView struct {
	Topic     string        `json:"topic"`
	Partition int           `json:"partition"`
	Leader    uint64        `json:"leader"` // 0: the node knows of none
	Preferred uint64        `json:"preferred"`
	Term      uint64        `json:"term"`
	Problem   string        `json:"problem"`
	Replicas  []ReplicaView `json:"replicas"` // told by the leader only
}

// ReplicaView is what a leader knows of a replica.
type ReplicaView struct {
	Node   uint64 `json:"node"`
	Lag    uint64 `json:"lag"` // entries that it lacks
	State  string `json:"state"`
	Active bool   `json:"active"`
}

// Cluster asks a node for its cluster. An answer beyond the limits, or of partitions of impossible names, is malformed.
func (c *Client) Cluster(ctx context.Context, address string) (*ClusterView, error) {
	view := new(ClusterView)
	if err := c.Get(ctx, address, "/v1/cluster", view); err != nil {
		return nil, err
	}
	if err := view.check(); err != nil {
		return nil, fmt.Errorf("%s: the answer to /v1/cluster makes no sense: %w", address, err)
	}
	return view, nil
}

func (v *ClusterView) check() error {
	if len(v.Nodes) > maxClusterNodes || len(v.Partitions) > maxPartitions {
		return fmt.Errorf("%d nodes and %d partitions", len(v.Nodes), len(v.Partitions))
	}
	for i := range v.Nodes {
		v.Nodes[i].Problem = cut(v.Nodes[i].Problem)
	}
	for i := range v.Partitions {
		p := &v.Partitions[i]
		if p.Topic != "" && !nsqwire.ValidName(p.Topic) {
			return fmt.Errorf("a topic named %q", cut(p.Topic))
		}
		if len(p.Replicas) > maxReplicas {
			return fmt.Errorf("%d replicas of %s/%d", len(p.Replicas), p.Topic, p.Partition)
		}
		p.Problem = cut(p.Problem)
	}
	return nil
}

func cut(text string) string { return text[:min(len(text), maxProblemLength)] }
