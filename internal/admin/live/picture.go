package live

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// Totals are figures of a topic, a node, or all of them.
type Totals struct {
	Topics   int   `json:"topics"`
	Channels int   `json:"channels"`
	Clients  int   `json:"clients"`
	Depth    int64 `json:"depth"`
	InFlight int64 `json:"in_flight"`
	Deferred int64 `json:"deferred"`
	Messages int64 `json:"messages"`
}

func (t *Totals) add(other *Totals) {
	t.Topics += other.Topics
	t.Channels += other.Channels
	t.Clients += other.Clients
	t.Depth += other.Depth
	t.InFlight += other.InFlight
	t.Deferred += other.Deferred
	t.Messages += other.Messages
}

// Picture is what all nodes said at one time.
type Picture struct {
	Time     time.Time
	Nodes    []*NodeState
	Lookupds []upstream.LookupdState
	Warnings []string
	topics   map[string]*topicState
	channels map[upstream.Target]*ChannelEvent // those that are watched, with their consumers
	cluster  *ClusterEvent                     // nil if nobody wants it
}

// extras are what is asked for only when somebody wants it.
type extras struct {
	channels []upstream.Target
	cluster  bool
}

// has reports whether the picture shows what is watched.
func (p *Picture) has(w *watch) bool {
	switch w.event {
	case "channel":
		return p.channels[w.target] != nil
	case "cluster":
		return p.cluster != nil
	}
	return true
}

// NodeState is a node and what it said.
type NodeState struct {
	*upstream.Node
	Err    error // why it said nothing useful; nil if it did
	Stats  *upstream.NodeStats
	Weir   *WeirNode // nil of a stock node
	Totals Totals
	Rates  Rates

	consumers map[upstream.Target]*upstream.NodeStats // of watched channels
	cluster   *upstream.ClusterView                   // nil if nobody wants it, or the node did not say
	silent    []error                                 // about what else it did not answer
}

// WeirNode is what only Weir's nodes tell of themselves: the answer of /v1/node, as far as it is shown.
type WeirNode struct {
	Sync        string       `json:"sync"`
	Disk        *Disk        `json:"disk"`
	SyncLatency *SyncLatency `json:"sync_latency"`
	HeapBytes   int64        `json:"heap_bytes"`
}

// Disk is a node's disk; see docs/openapi.yaml.
type Disk struct {
	Path       string `json:"path"`
	TotalBytes int64  `json:"total_bytes"`
	FreeBytes  int64  `json:"free_bytes"`
	UsedBytes  int64  `json:"used_bytes"`
	FullIn     *int64 `json:"full_in_s"`
}

// SyncLatency is how long a node's disk takes; see docs/openapi.yaml.
type SyncLatency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// topicState is a topic over all nodes.
type topicState struct {
	name     string
	paused   bool
	bytes    int64
	totals   Totals
	rates    Rates
	channels map[string]*ChannelFigures
	nodes    []TopicAtNode
}

// collector asks nodes, and remembers what they said before.
type collector struct {
	client *upstream.Client
	places func() upstream.Places
	counts tracker
}

// collect asks all nodes, also for what is wanted besides. It takes at most patience.
func (c *collector) collect(ctx context.Context, patience time.Duration, more extras) *Picture {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	places := c.places()
	p := &Picture{Time: time.Now(), topics: map[string]*topicState{}, channels: map[upstream.Target]*ChannelEvent{}}
	finding, found := context.WithTimeout(ctx, patience/2) // who does not answer must leave time to ask the others
	nodes, failures := c.client.Nodes(finding, places, false)
	found()
	var asking sync.WaitGroup
	asking.Go(func() { p.Lookupds = c.client.Ping(ctx, places.Lookupds) })
	p.Nodes = make([]*NodeState, len(nodes))
	others := c.client.Each(ctx, nodes, func(ctx context.Context, i int, n *upstream.Node) error {
		p.Nodes[i] = &NodeState{Node: n, Err: n.Down}
		if n.Down != nil {
			return nil // it is among the failures already
		}
		p.Nodes[i].ask(ctx, c.client, &more)
		return p.Nodes[i].Err
	})
	asking.Wait()
	failures.Add(others)
	p.Warnings = unique(failures.Texts())
	for _, n := range p.Nodes {
		p.addNode(n, c.counts.node(n.Name(), p.Time))
	}
	c.counts.forget(p.Time)
	if more.cluster {
		p.cluster = p.clusterEvent()
	}
	for _, target := range more.channels {
		p.channels[target] = p.channelEvent(target)
	}
	return p
}

// ask fills in what the node says. All is asked here, node by node, so that a slow one takes no time from the others.
func (n *NodeState) ask(ctx context.Context, client *upstream.Client, more *extras) {
	if n.Stats, n.Err = client.Stats(ctx, n.Address, upstream.Ask{}); n.Err != nil {
		return
	}
	if strings.Contains(n.Stats.Version, "+weir") {
		weir := new(WeirNode)
		if client.Get(ctx, n.Address, "/v1/node", weir) == nil {
			n.Weir = weir
		}
	}
	if more.cluster && n.Weir != nil {
		var err error
		if n.cluster, err = client.Cluster(ctx, n.Address); err != nil {
			n.silent = append(n.silent, err)
		}
	}
	n.consumers = map[upstream.Target]*upstream.NodeStats{}
	for _, target := range more.channels {
		if !n.Stats.Has(target.Topic) {
			continue
		}
		stats, err := client.Stats(ctx, n.Address, upstream.Ask{Topic: target.Topic, Channel: target.Channel, Clients: true})
		if err != nil {
			n.silent = append(n.silent, err)
			continue
		}
		n.consumers[target] = stats
	}
}

// warnings are those of the picture, and what nodes did not say about what was asked besides.
func (p *Picture) warnings() []string {
	texts := append([]string{}, p.Warnings...)
	for _, n := range p.Nodes {
		for _, err := range n.silent {
			texts = append(texts, err.Error())
		}
	}
	return unique(texts)
}

// addNode adds a node's figures to those of its topics.
func (p *Picture) addNode(n *NodeState, counts *nodeCounts) {
	if n.Stats == nil {
		return
	}
	for i := range n.Stats.Topics {
		t := &n.Stats.Topics[i]
		s := p.topics[t.TopicName]
		if s == nil {
			s = &topicState{name: t.TopicName, channels: map[string]*ChannelFigures{}}
			s.totals.Topics = 1
			p.topics[t.TopicName] = s
		}
		at := s.addNode(n, t, counts)
		n.Totals.add(&at)
		n.Rates.add(s.nodes[len(s.nodes)-1].Rates)
	}
}

// addNode adds what one node says of the topic, and returns the node's totals of it.
func (s *topicState) addNode(n *NodeState, t *upstream.NodeTopic, counts *nodeCounts) Totals {
	at := Totals{Topics: 1, Depth: t.Depth, Messages: t.MessageCount, Channels: len(t.Channels)}
	rates := Rates{In: counts.rate(key{t.TopicName, "", countIn}, t.MessageCount)}
	for i := range t.Channels {
		ch := &t.Channels[i]
		f := s.channels[ch.ChannelName]
		if f == nil {
			f = &ChannelFigures{Channel: ch.ChannelName}
			s.channels[ch.ChannelName] = f
			s.totals.Channels++
		}
		r := counts.channelRates(t.TopicName, ch)
		f.add(ch, r)
		rates.add(Rates{Out: r.Out, Requeued: r.Requeued, TimedOut: r.TimedOut})
		at.Depth += ch.Depth
		at.InFlight += ch.InFlightCount
		at.Deferred += ch.DeferredCount
		at.Clients += ch.ClientCount
	}
	s.paused = s.paused || t.Paused
	s.bytes += t.MessageBytes
	s.rates.add(rates)
	s.totals.Clients += at.Clients
	s.totals.Depth += at.Depth
	s.totals.InFlight += at.InFlight
	s.totals.Deferred += at.Deferred
	s.totals.Messages += at.Messages
	s.nodes = append(s.nodes, TopicAtNode{
		Node: n.Name(), Weir: n.Weir != nil, Paused: t.Paused, Depth: t.Depth, Messages: t.MessageCount, Bytes: t.MessageBytes,
		Channels: len(t.Channels), Rates: rates, Tombstoned: n.tombstoned(t.TopicName),
	})
	return at
}

// tombstoned reports whether a lookup service hides a topic of the node.
func (n *NodeState) tombstoned(topic string) bool {
	return slices.ContainsFunc(n.Topics, func(e upstream.NodeEntry) bool { return e.Topic == topic && e.Tombstoned })
}

// names are the topics, sorted.
func (p *Picture) names() []string { return slices.Sorted(maps.Keys(p.topics)) }

func unique(texts []string) []string {
	slices.SortFunc(texts, cmp.Compare[string])
	return slices.Compact(texts)
}
