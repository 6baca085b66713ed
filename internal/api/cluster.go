package api

import (
	"net/http"

	"github.com/weirmq/weir/internal/catalog"
)

// Cluster is the cluster as one node sees it.
type Cluster struct {
	Enabled    bool               `json:"enabled"`
	Cluster    string             `json:"cluster,omitempty"` // its id in hex
	Self       catalog.NodeID     `json:"self,omitempty"`
	Nodes      []ClusterNode      `json:"nodes"`
	Partitions []ClusterPartition `json:"partitions"` // of which the node holds a replica; the catalog's has no topic
}

// ClusterNode is one node.
type ClusterNode struct {
	ID          catalog.NodeID `json:"id"`
	Name        string         `json:"name"`
	Host        string         `json:"host"`
	TCPPort     uint16         `json:"tcp_port"`
	HTTPPort    uint16         `json:"http_port"`
	PeerAddress string         `json:"peer_address"` // "" for the node itself
	Up          bool           `json:"up"`
	Stopping    bool           `json:"stopping"`
	RTTMicros   int64          `json:"rtt_us"`
	Problem     string         `json:"problem"`
}

// ClusterPartition is one log and the node's replica of it.
type ClusterPartition struct {
	Topic     string         `json:"topic"`
	Partition uint16         `json:"partition"`
	Leader    catalog.NodeID `json:"leader"` // 0: none is known to the node
	Preferred catalog.NodeID `json:"preferred"`
	Term      uint64         `json:"term"`
	Last      uint64         `json:"last_index"`
	Applied   uint64         `json:"applied_index"`
	Problem   string         `json:"problem"`
	// Replicas are told by the leader only.
	Replicas []ClusterReplica `json:"replicas"`
}

// ClusterReplica is what a leader knows of a replica.
type ClusterReplica struct {
	ID     uint64         `json:"id"`
	Node   catalog.NodeID `json:"node"`
	Match  uint64         `json:"match_index"`
	Lag    uint64         `json:"lag"` // entries that it lacks
	Active bool           `json:"active"`
	State  string         `json:"state"`
}

func (s *Server) cluster(r *http.Request) (any, error) {
	if s.options.Cluster == nil {
		return Cluster{Nodes: []ClusterNode{}, Partitions: []ClusterPartition{}}, nil
	}
	return s.options.Cluster(r.Context()), nil
}
