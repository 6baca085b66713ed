package live

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// seen is node self's view of a cluster of three, of which those in up are up. Each node holds all partitions.
func seen(self uint64, up string, partitions ...upstream.PartitionView) *upstream.ClusterView {
	v := &upstream.ClusterView{Enabled: true, Cluster: "c", Self: self, Partitions: partitions}
	for id := range uint64(3) {
		id++
		v.Nodes = append(v.Nodes, upstream.ClusterNode{ID: id, Host: fmt.Sprintf("h%d", id), HTTPPort: 4151, Up: strings.Contains(up, fmt.Sprint(id))})
	}
	return v
}

// led is a partition as one of its replicas sees it; lags are told by its leader, of nodes 1 to 3.
func led(by, term uint64, lags ...uint64) upstream.PartitionView {
	p := upstream.PartitionView{Topic: "t", Leader: by, Preferred: 1, Term: term}
	for i, lag := range lags {
		p.Replicas = append(p.Replicas, upstream.ReplicaView{Node: uint64(i + 1), Lag: lag, State: "replicate", Active: true})
	}
	return p
}

// TestClusterIsPutTogetherFromWhatItsNodesSay tells each story as: node = state leads/should lead/replicas/worst lag, then the partition.
func TestClusterIsPutTogetherFromWhatItsNodesSay(t *testing.T) {
	for _, c := range []struct {
		name  string
		views []*upstream.ClusterView
		want  string
	}{
		{"all well", []*upstream.ClusterView{seen(1, "123", led(1, 2, 0, 0, 7)), seen(2, "123", led(1, 2)), seen(3, "123", led(1, 2))},
			"h1:4151=up 1/1/1/0 h2:4151=up 0/0/1/0 h3:4151=up 0/0/1/7 | t/0 h1:4151 h1:4151:0 h2:4151:0 h3:4151:7 [] | "},
		{"the leader died and another leads", []*upstream.ClusterView{nil, seen(2, "23", led(2, 3, 9, 0, 0)), seen(3, "23", led(2, 3))},
			"h1:4151=down 0/1/1/9 h2:4151=up 1/0/1/0 h3:4151=up 0/0/1/0 | t/0 h2:4151 h1:4151:9 h2:4151:0 h3:4151:0 [] | h1:4151: down, as the other nodes of the cluster see it"},
		{"the leader died and nobody leads", []*upstream.ClusterView{nil, seen(2, "2", led(0, 3))},
			"h1:4151=down 0/1/0/0 h2:4151=up 0/0/1/0 h3:4151=down 0/0/0/0 | t/0  h2:4151:- [no leader] | h1:4151: down, as the other nodes of the cluster see it," +
				"h3:4151: down, as the other nodes of the cluster see it,1 partitions have no leader: they take and deliver nothing until a majority of their replicas is back"},
		{"one that was cut off still thinks it leads", []*upstream.ClusterView{seen(1, "1", led(1, 2, 0, 5, 5)), seen(2, "23", led(2, 3, 4, 0, 0)), seen(3, "23", led(2, 3))},
			"h1:4151=up 0/1/1/4 not reached by h2:4151, h3:4151 h2:4151=up 1/0/1/0 not reached by h1:4151 h3:4151=up 0/0/1/0 not reached by h1:4151" +
				" | t/0 h2:4151 h1:4151:4 h2:4151:0 h3:4151:0 [] | "},
		{"the page does not reach the leader, which is up", []*upstream.ClusterView{nil, seen(2, "123", led(1, 2)), seen(3, "123", led(1, 2))},
			"h1:4151=up 1/1/0/0 h2:4151=up 0/0/1/0 h3:4151=up 0/0/1/0 | t/0 h1:4151 h2:4151:- h3:4151:- [its leader does not say how it is] | "},
		{"no cluster", []*upstream.ClusterView{{}, nil}, " |  | "},
	} {
		if got := tell(mergeClusters(c.views)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func tell(e *ClusterEvent) string {
	var nodes, partitions []string
	for _, n := range e.Nodes {
		nodes = append(nodes, strings.TrimSpace(fmt.Sprintf("%s=%s %d/%d/%d/%d %s", n.Node, n.State, n.Leads, n.ShouldLead, n.Replicas, n.WorstLag, n.Problem)))
	}
	for _, p := range e.Partitions {
		text := fmt.Sprintf("%s/%d %s", p.Topic, p.Partition, p.Leader)
		for _, r := range p.Replicas {
			lag := "-"
			if r.Lag != nil {
				lag = fmt.Sprint(*r.Lag)
			}
			text += " " + r.Node + ":" + lag
		}
		partitions = append(partitions, fmt.Sprintf("%s [%s]", text, p.Problem))
	}
	return strings.Join(nodes, " ") + " | " + strings.Join(partitions, " ") + " | " + strings.Join(e.Warnings, ",")
}

func TestClustersWithTheSameTopicsAreKeptApart(t *testing.T) {
	other := seen(1, "123", led(1, 2, 0, 0, 0))
	other.Cluster = "d"
	e := mergeClusters([]*upstream.ClusterView{seen(1, "123", led(1, 2, 0, 0, 0)), other})
	if len(e.Nodes) != 6 || len(e.Partitions) != 2 || e.Partitions[0].Key == e.Partitions[1].Key {
		t.Errorf("%s", tell(e))
	}
}

func TestOnlyPartitionsThatChangedAreSent(t *testing.T) {
	at := func(topic string, lag uint64) upstream.PartitionView {
		p := led(1, 2, 0, 0, lag)
		p.Topic = topic
		return p
	}
	old := mergeClusters([]*upstream.ClusterView{seen(1, "123", at("a", 0), at("b", 0), at("gone", 0))})
	now := mergeClusters([]*upstream.ClusterView{seen(1, "123", at("a", 0), at("b", 4), at("new", 0))})
	delta := now.changes(old)
	data, _ := json.Marshal(delta.Removed)
	if delta.Full || len(delta.Nodes) != 3 || string(data) != `["c/gone/0"]` {
		t.Errorf("%+v", delta)
	}
	if len(delta.Partitions) != 2 || delta.Partitions[0].Topic != "b" || delta.Partitions[1].Topic != "new" {
		t.Errorf("%+v", delta.Partitions)
	}
	if same := now.changes(now); len(same.Partitions) != 0 || len(same.Removed) != 0 {
		t.Errorf("%+v", same)
	}
	if part := now.of("b"); len(part.Partitions) != 1 || len(now.Partitions) != 3 {
		t.Errorf("%+v", part)
	}
}
