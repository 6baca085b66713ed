package cluster

import (
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
)

// TestRefusalsAskTheNextNodeThatIsUp guesses the leader of a log of which this node holds no replica, while the first of those that do is
// down: each refusal must lead to another node.
func TestRefusalsAskTheNextNodeThatIsUp(t *testing.T) {
	c := &Cluster{self: 1, places: map[broker.LogID]*place{}, up: map[catalog.NodeID]bool{3: true, 4: true}}
	id := broker.LogID{Topic: 7, Partition: 1}
	c.Place(id, catalog.Partition{Preferred: 2, Replicas: []catalog.Replica{{ID: 1, Node: 2}, {ID: 2, Node: 3}, {ID: 3, Node: 4}}}, false)
	for _, want := range []catalog.NodeID{3, 4, 3} {
		if got := c.Leader(id); got != want {
			t.Fatalf("node %d is asked, want node %d", got, want)
		}
		c.notLeader(id, want)
	}
}
