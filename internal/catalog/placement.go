package catalog

import (
	"errors"
	"fmt"
	"slices"
)

const (
	// DefaultReplicas is how many copies a partition has where nothing else is asked for.
	DefaultReplicas = 3
	// MaxPartitions bounds the partitions of a topic.
	MaxPartitions = 1024
	// maxReplicas bounds the copies of a partition.
	maxReplicas = 32
)

// Wish says how a topic is to be placed. The zero value asks for the default.
type Wish struct {
	Local bool
	// Partitions and Replicas as in Settings. A local topic has neither.
	Partitions, Replicas uint16
}

// ErrPlacement means that a topic cannot be placed as it is wished.
var ErrPlacement = errors.New("topic cannot be placed")

// Place returns the placement of a topic on nodes: by default one partition for each node, with copies on it and the nodes that
// follow it, and that node as the preferred leader. Fewer partitions than nodes begin at a node that the topic's id chooses, so
// that many small topics spread. The error is ErrPlacement and names what is out of range.
func Place(topic uint64, nodes []NodeID, w Wish) ([]Partition, error) {
	n := len(nodes)
	if n == 0 {
		return nil, fmt.Errorf("%w: the cluster has no nodes", ErrPlacement)
	}
	partitions, replicas := int(w.Partitions), min(int(w.Replicas), n)
	if partitions == 0 || w.Local {
		partitions = n
	}
	if replicas == 0 {
		replicas = min(DefaultReplicas, n)
	}
	if w.Local {
		replicas = 1
	}
	if partitions > MaxPartitions || replicas > maxReplicas {
		return nil, fmt.Errorf("%w: %d partitions with %d replicas, at most %d and %d", ErrPlacement, partitions, replicas, MaxPartitions, maxReplicas)
	}
	nodes = slices.Sorted(slices.Values(nodes))
	first := 0
	if partitions%n != 0 {
		first = int(topic % uint64(n))
	}
	placement := make([]Partition, partitions)
	for i := range placement {
		p := &placement[i]
		p.Preferred = nodes[(first+i)%n]
		for k := range replicas {
			p.LastReplica++
			p.Replicas = append(p.Replicas, Replica{ID: p.LastReplica, Node: nodes[(first+i+k)%n]})
		}
	}
	return placement, nil
}
