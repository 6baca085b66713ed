package live

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// ClusterEvent is the data of the event cluster: all clusters that the nodes belong to, usually one, each partition as its leader sees it.
type ClusterEvent struct {
	Full       bool           `json:"full"`
	Enabled    bool           `json:"enabled"` // false: no node belongs to a cluster
	Nodes      []*clusterNode `json:"nodes"`
	Partitions []partition    `json:"partitions"`
	Removed    []string       `json:"removed"` // keys
	Warnings   []string       `json:"warnings"`
}

// Values of a node's state.
const (
	nodeUp       = "up"
	nodeStopping = "stopping"
	nodeDown     = "down"
)

// clusterNode is a member, as it sees itself and the others see it.
type clusterNode struct {
	Cluster    string `json:"cluster"`
	ID         uint64 `json:"id"`
	Node       string `json:"node"` // host:http_port
	Label      string `json:"name"`
	State      string `json:"state"`
	Problem    string `json:"problem"`
	Leads      int    `json:"leads"`
	ShouldLead int    `json:"should_lead"`
	Replicas   int    `json:"replicas"`
	WorstLag   uint64 `json:"worst_lag"`
}

// partition is one log of a topic, or the catalog's, which has no topic.
type partition struct {
	Key       string    `json:"key"` // cluster/topic/partition
	Topic     string    `json:"topic"`
	Partition int       `json:"partition"`
	Leader    string    `json:"leader"`    // "" if nobody knows of one
	Preferred string    `json:"preferred"` // who should lead; "" if anybody may
	Replicas  []replica `json:"replicas"`
	Problem   string    `json:"problem"`
}

// replica is one node's copy. Lag and state are its leader's words, nil and "" where the leader said nothing.
type replica struct {
	Node   string  `json:"node"`
	Lag    *uint64 `json:"lag"`
	State  string  `json:"state"`
	Active bool    `json:"active"`
}

func (p *partition) equal(other *partition) bool {
	return p.Leader == other.Leader && p.Preferred == other.Preferred && p.Problem == other.Problem &&
		slices.EqualFunc(p.Replicas, other.Replicas, func(a, b replica) bool {
			return a.Node == b.Node && a.State == b.State && a.Active == b.Active && (a.Lag == nil) == (b.Lag == nil) && (a.Lag == nil || *a.Lag == *b.Lag)
		})
}

// clusterEvent puts together what the nodes say of their clusters.
func (p *Picture) clusterEvent() *ClusterEvent {
	views := make([]*upstream.ClusterView, len(p.Nodes))
	for i, n := range p.Nodes {
		views[i] = n.cluster
	}
	e := mergeClusters(views)
	e.Warnings = unique(append(p.warnings(), e.Warnings...))
	return e
}

// mergeClusters puts together the views of nodes, those of one cluster by its id. A nil view is left out.
func mergeClusters(views []*upstream.ClusterView) *ClusterEvent {
	byCluster := map[string][]*upstream.ClusterView{}
	for _, v := range views {
		if v != nil && v.Enabled {
			byCluster[v.Cluster] = append(byCluster[v.Cluster], v)
		}
	}
	e := &ClusterEvent{Full: true, Enabled: len(byCluster) > 0, Nodes: []*clusterNode{}, Partitions: []partition{}, Removed: []string{}}
	for _, id := range slices.Sorted(maps.Keys(byCluster)) {
		m := newMerger(id, byCluster[id])
		m.mergeNodes()
		m.mergePartitions()
		e.Nodes = append(e.Nodes, m.sortedNodes()...)
		e.Partitions = append(e.Partitions, m.partitions...)
		e.Warnings = append(e.Warnings, m.warnings()...)
	}
	return e
}

// merger puts together what the nodes of one cluster say.
type merger struct {
	cluster    string
	views      map[uint64]*upstream.ClusterView // by the node that says it
	nodes      map[uint64]*clusterNode
	partitions []partition
}

func newMerger(cluster string, views []*upstream.ClusterView) *merger {
	m := &merger{cluster: cluster, views: map[uint64]*upstream.ClusterView{}, nodes: map[uint64]*clusterNode{}}
	for _, v := range views {
		m.views[v.Self] = v
	}
	return m
}

// mergeNodes finds out how each node is. One that answered is up, whoever does not see it; of the others, those know who see them.
func (m *merger) mergeNodes() {
	unseen, problems := map[uint64][]string{}, map[uint64][]string{}
	for _, self := range slices.Sorted(maps.Keys(m.views)) {
		for _, said := range m.views[self].Nodes {
			n := m.nodes[said.ID]
			if n == nil {
				n = &clusterNode{Cluster: m.cluster, ID: said.ID, Node: said.Name(), Label: said.Label, State: nodeDown}
				m.nodes[said.ID] = n
			}
			switch {
			case said.Stopping:
				n.State = nodeStopping
			case n.State != nodeStopping && (said.Up || m.views[said.ID] != nil):
				n.State = nodeUp
			}
			if !said.Up && said.ID != self {
				unseen[said.ID] = append(unseen[said.ID], m.name(self))
			}
			if said.Problem != "" {
				problems[said.ID] = append(problems[said.ID], said.Problem)
			}
		}
	}
	for id, n := range m.nodes {
		texts := unique(problems[id])
		if n.State == nodeUp && len(unseen[id]) > 0 {
			texts = append(texts, "not reached by "+strings.Join(unseen[id], ", "))
		}
		n.Problem = strings.Join(texts, "; ")
	}
}

// name is a node's host:http_port, or its number if no node says where it is; "" of 0.
func (m *merger) name(id uint64) string {
	if id == 0 {
		return ""
	}
	for _, v := range m.views {
		for i := range v.Nodes {
			if v.Nodes[i].ID == id {
				return v.Nodes[i].Name()
			}
		}
	}
	return fmt.Sprintf("node %d", id)
}

// place names a partition.
type place struct {
	topic     string
	partition int
}

// mergePartitions takes each partition as its leader sees it, and counts what nodes lead and hold.
func (m *merger) mergePartitions() {
	said := map[place]map[uint64]*upstream.PartitionView{}
	for self, v := range m.views {
		for i := range v.Partitions {
			p := &v.Partitions[i]
			at := place{p.Topic, p.Partition}
			if said[at] == nil {
				said[at] = map[uint64]*upstream.PartitionView{}
			}
			said[at][self] = p
		}
	}
	places := slices.SortedFunc(maps.Keys(said), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	names := map[uint64]string{0: ""}
	for id := range m.nodes {
		names[id] = m.name(id)
	}
	for _, at := range places {
		m.partitions = append(m.partitions, m.mergePartition(at, said[at], names))
	}
}

// mergePartition puts together what the holders of a partition say. Of several that say they lead, the one of the highest term does.
func (m *merger) mergePartition(at place, said map[uint64]*upstream.PartitionView, names map[uint64]string) partition {
	var newest, led *upstream.PartitionView
	var problems []string
	holders := slices.Sorted(maps.Keys(said))
	for _, id := range holders {
		p := said[id]
		if newest == nil || p.Term > newest.Term || p.Term == newest.Term && newest.Leader == 0 {
			newest = p
		}
		if p.Leader == id && (led == nil || p.Term > led.Term) {
			led = p
		}
		if p.Problem != "" {
			problems = append(problems, names[id]+": "+p.Problem)
		}
	}
	out := partition{Key: fmt.Sprintf("%s/%s/%d", m.cluster, at.topic, at.partition), Topic: at.topic, Partition: at.partition,
		Preferred: names[newest.Preferred], Replicas: []replica{}}
	if led != nil && led.Term < newest.Term {
		led = nil // it was, and does not know yet that it is not any more
	}
	m.countLeader(cmp.Or(led, newest))
	if led != nil {
		out.Leader = names[led.Leader]
		for _, r := range led.Replicas {
			lag := r.Lag
			out.Replicas = append(out.Replicas, replica{Node: names[r.Node], Lag: &lag, State: r.State, Active: r.Active})
			m.countReplica(r.Node, lag)
		}
	} else {
		out.Leader = names[newest.Leader]
		for _, id := range holders {
			out.Replicas = append(out.Replicas, replica{Node: names[id]})
			m.countReplica(id, 0)
		}
		if out.Leader == "" {
			problems = append(problems, "no leader")
		} else {
			problems = append(problems, "its leader does not say how it is")
		}
	}
	slices.SortFunc(out.Replicas, func(a, b replica) int { return cmp.Compare(a.Node, b.Node) })
	out.Problem = strings.Join(problems, "; ")
	return out
}

// countLeader adds a partition to the figures of who leads it and of who should.
func (m *merger) countLeader(p *upstream.PartitionView) {
	if n := m.nodes[p.Leader]; n != nil {
		n.Leads++
	}
	if n := m.nodes[p.Preferred]; n != nil && p.Topic != "" { // any node may lead the catalog
		n.ShouldLead++
	}
}

// countReplica adds a replica to the figures of its node.
func (m *merger) countReplica(id, lag uint64) {
	if n := m.nodes[id]; n != nil {
		n.Replicas++
		n.WorstLag = max(n.WorstLag, lag)
	}
}

func (m *merger) sortedNodes() []*clusterNode {
	return slices.SortedFunc(maps.Values(m.nodes), func(a, b *clusterNode) int { return cmp.Compare(a.ID, b.ID) })
}

// warnings say what is wrong with the cluster as a whole.
func (m *merger) warnings() []string {
	var texts []string
	for _, n := range m.sortedNodes() {
		if n.State == nodeDown {
			texts = append(texts, n.Node+": down, as the other nodes of the cluster see it")
		}
	}
	leaderless := 0
	for i := range m.partitions {
		if m.partitions[i].Leader == "" {
			leaderless++
		}
	}
	if leaderless > 0 {
		texts = append(texts, fmt.Sprintf("%d partitions have no leader: they take and deliver nothing until a majority of their replicas is back", leaderless))
	}
	return texts
}

// of returns the event with the partitions of one topic only; of all with "".
func (e *ClusterEvent) of(topic string) *ClusterEvent {
	if topic == "" {
		return e
	}
	part := *e
	part.Partitions = []partition{}
	for _, p := range e.Partitions {
		if p.Topic == topic {
			part.Partitions = append(part.Partitions, p)
		}
	}
	return &part
}

// changes leaves out the partitions that are as they were in an older event.
func (e *ClusterEvent) changes(old *ClusterEvent) *ClusterEvent {
	before := make(map[string]*partition, len(old.Partitions))
	for i := range old.Partitions {
		before[old.Partitions[i].Key] = &old.Partitions[i]
	}
	delta := *e
	delta.Full, delta.Partitions = false, []partition{}
	for i := range e.Partitions {
		p := &e.Partitions[i]
		if was := before[p.Key]; was == nil || !p.equal(was) {
			delta.Partitions = append(delta.Partitions, *p)
		}
		delete(before, p.Key)
	}
	delta.Removed = append([]string{}, slices.Sorted(maps.Keys(before))...)
	return &delta
}
