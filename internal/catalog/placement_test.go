package catalog

import (
	"fmt"
	"testing"
)

func TestPlaceSpreadsPartitionsOverTheNodes(t *testing.T) {
	for _, c := range []struct {
		topic uint64
		nodes []NodeID
		wish  Wish
		want  string // for each partition the preferred node and the nodes of its replicas
	}{
		{9, []NodeID{1}, Wish{}, "1[1]"},
		{9, []NodeID{2, 1}, Wish{}, "1[1 2] 2[2 1]"},
		{8, []NodeID{1, 2, 3}, Wish{}, "1[1 2 3] 2[2 3 1] 3[3 1 2]"},
		{8, []NodeID{1, 2, 3, 5}, Wish{}, "1[1 2 3] 2[2 3 5] 3[3 5 1] 5[5 1 2]"},
		{8, []NodeID{1, 2, 3}, Wish{Partitions: 1}, "3[3 1 2]"},
		{8, []NodeID{1, 2, 3}, Wish{Partitions: 6, Replicas: 1}, "1[1] 2[2] 3[3] 1[1] 2[2] 3[3]"},
		{8, []NodeID{1, 2, 3}, Wish{Replicas: 9}, "1[1 2 3] 2[2 3 1] 3[3 1 2]"},
		{8, []NodeID{1, 2, 3}, Wish{Local: true, Partitions: 7}, "1[1] 2[2] 3[3]"},
	} {
		placement, err := Place(c.topic, c.nodes, c.wish)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, p := range placement {
			var nodes []NodeID
			for k, r := range p.Replicas {
				nodes = append(nodes, r.Node)
				if r.ID != uint64(k+1) {
					t.Errorf("replica %d of partition %d has id %d", k, i, r.ID)
				}
			}
			if i > 0 {
				got += " "
			}
			got += fmt.Sprintf("%d%v", p.Preferred, nodes)
		}
		if got != c.want {
			t.Errorf("topic %d on %v with %+v: got %s, want %s", c.topic, c.nodes, c.wish, got, c.want)
		}
	}
}

func TestPlaceRefusesWhatIsOutOfRange(t *testing.T) {
	if _, err := Place(1, nil, Wish{}); err == nil {
		t.Error("a placement on no nodes")
	}
	if _, err := Place(1, []NodeID{1}, Wish{Partitions: MaxPartitions + 1}); err == nil {
		t.Error("a placement of too many partitions")
	}
}
