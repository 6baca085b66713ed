package live

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// The data of the events; docs/openapi.yaml describes them.

// Overview is the data of the event overview.
type Overview struct {
	Time         int64        `json:"time_ms"`
	Totals       Totals       `json:"totals"`
	Rates        Rates        `json:"rates"`
	NodesUp      int          `json:"nodes_up"`
	NodesDown    int          `json:"nodes_down"`
	Unhealthy    []string     `json:"unhealthy"`
	LookupdsUp   int          `json:"lookupds_up"`
	LookupdsDown int          `json:"lookupds_down"`
	Disk         *nodeDisk    `json:"disk"`
	SyncLatency  *nodeLatency `json:"sync_latency"`
	Warnings     []string     `json:"warnings"`
}

type nodeDisk struct {
	Node       string `json:"node"`
	TotalBytes int64  `json:"total_bytes"`
	FreeBytes  int64  `json:"free_bytes"`
	UsedBytes  int64  `json:"used_bytes"`
	FullIn     *int64 `json:"full_in_s"`
}

type nodeLatency struct {
	Node string `json:"node"`
	SyncLatency
}

// Overview adds up all topics and nodes.
func (p *Picture) Overview() *Overview {
	o := &Overview{Time: p.Time.UnixMilli(), Unhealthy: []string{}, Warnings: p.Warnings}
	for _, s := range p.topics {
		o.Totals.add(&s.totals)
		o.Rates.add(s.rates)
	}
	for _, l := range p.Lookupds {
		if l.Up {
			o.LookupdsUp++
		} else {
			o.LookupdsDown++
		}
	}
	for _, n := range p.Nodes {
		if n.Err != nil {
			o.NodesDown++
			continue
		}
		o.NodesUp++
		if n.Stats != nil && n.Stats.Health != "OK" {
			o.Unhealthy = append(o.Unhealthy, n.Name())
		}
		if n.Weir != nil {
			o.addWeir(n)
		}
	}
	return o
}

// addWeir keeps the disk that is full first and the slowest sync.
func (o *Overview) addWeir(n *NodeState) {
	if d := n.Weir.Disk; d != nil && (o.Disk == nil || fullBefore(d.FullIn, o.Disk.FullIn, d.FreeBytes, o.Disk.FreeBytes)) {
		o.Disk = &nodeDisk{n.Name(), d.TotalBytes, d.FreeBytes, d.UsedBytes, d.FullIn}
	}
	if l := n.Weir.SyncLatency; l != nil && (o.SyncLatency == nil || l.P99 > o.SyncLatency.P99) {
		o.SyncLatency = &nodeLatency{n.Name(), *l}
	}
}

// fullBefore reports whether a disk fills before another, or else has less room.
func fullBefore(a, b *int64, freeA, freeB int64) bool {
	switch {
	case a != nil && b != nil:
		return *a < *b
	case a != nil || b != nil:
		return a != nil
	}
	return freeA < freeB
}

// TopicTable is the data of the event topics.
type TopicTable struct {
	Full     bool     `json:"full"`
	Columns  []string `json:"columns"`
	Rows     [][]any  `json:"rows"`
	Removed  []string `json:"removed"`
	Warnings []string `json:"warnings"`
}

// columns of a TopicTable's rows.
var columns = [...]string{"topic", "paused", "nodes", "channels", "clients", "depth", "in_flight", "deferred", "messages",
	"rate_in", "rate_out", "rate_requeued", "rate_timed_out"}

// row is one topic of the table; rows can be compared.
type row struct {
	topic                                  string
	paused, nodes, channels, clients       int
	depth, inFlight, deferred, messages    int64
	rateIn, rateOut, requeued, rateTimeOut float64
}

func (s *topicState) row() row {
	paused := 0
	if s.paused {
		paused = 1
	}
	return row{s.name, paused, len(s.nodes), s.totals.Channels, s.totals.Clients, s.totals.Depth, s.totals.InFlight, s.totals.Deferred,
		s.totals.Messages, s.rates.In, s.rates.Out, s.rates.Requeued, s.rates.TimedOut}
}

func (r row) cells() []any {
	return []any{r.topic, r.paused, r.nodes, r.channels, r.clients, r.depth, r.inFlight, r.deferred, r.messages,
		r.rateIn, r.rateOut, r.requeued, r.rateTimeOut}
}

// TopicTable lists all topics.
func (p *Picture) TopicTable() *TopicTable {
	t := &TopicTable{Full: true, Columns: columns[:], Rows: make([][]any, 0, len(p.topics)), Removed: []string{}, Warnings: p.Warnings}
	for _, name := range p.names() {
		t.Rows = append(t.Rows, p.topics[name].row().cells())
	}
	return t
}

// changes lists what differs from an older picture.
func (p *Picture) changes(old *Picture) *TopicTable {
	t := &TopicTable{Columns: columns[:], Rows: [][]any{}, Removed: []string{}, Warnings: p.Warnings}
	for _, name := range p.names() {
		now := p.topics[name].row()
		if before := old.topics[name]; before == nil || before.row() != now {
			t.Rows = append(t.Rows, now.cells())
		}
	}
	for _, name := range old.names() {
		if p.topics[name] == nil {
			t.Removed = append(t.Removed, name)
		}
	}
	return t
}

// NodeTable is the data of the event nodes.
type NodeTable struct {
	Nodes    []nodeRow               `json:"nodes"`
	Lookupds []upstream.LookupdState `json:"lookupds"`
	Warnings []string                `json:"warnings"`
}

type nodeRow struct {
	Node             string       `json:"node"`
	Up               bool         `json:"up"`
	Error            string       `json:"error"`
	Weir             bool         `json:"weir"`
	Version          string       `json:"version"`
	OutOfDate        bool         `json:"out_of_date"`
	Healthy          bool         `json:"healthy"`
	Health           string       `json:"health"`
	Hostname         string       `json:"hostname"`
	BroadcastAddress string       `json:"broadcast_address"`
	TCPPort          int          `json:"tcp_port"`
	HTTPPort         int          `json:"http_port"`
	TopologyRegion   string       `json:"topology_region,omitempty"`
	TopologyZone     string       `json:"topology_zone,omitempty"`
	Started          int64        `json:"started_ms,omitempty"`
	Lookupds         []string     `json:"lookupds"`
	Tombstones       []string     `json:"tombstones"`
	Totals           Totals       `json:"totals"`
	Rates            Rates        `json:"rates"`
	Disk             *Disk        `json:"disk,omitempty"`
	SyncLatency      *SyncLatency `json:"sync_latency,omitempty"`
	HeapBytes        int64        `json:"heap_bytes,omitempty"`
	Sync             string       `json:"sync,omitempty"`
}

// NodeTable lists all nodes.
func (p *Picture) NodeTable() *NodeTable {
	t := &NodeTable{Nodes: make([]nodeRow, 0, len(p.Nodes)), Lookupds: p.Lookupds, Warnings: p.Warnings}
	for _, n := range p.Nodes {
		r := nodeRow{
			Node: n.Name(), Up: n.Err == nil, Weir: n.Weir != nil, Version: n.Version, OutOfDate: n.OutOfDate, Hostname: n.Hostname,
			BroadcastAddress: n.BroadcastAddress, TCPPort: n.TCPPort, HTTPPort: n.HTTPPort, TopologyRegion: n.TopologyRegion,
			TopologyZone: n.TopologyZone, Lookupds: n.Lookupds(), Tombstones: []string{}, Totals: n.Totals, Rates: n.Rates,
		}
		if n.Err != nil {
			r.Error = n.Err.Error()
		}
		if n.Stats != nil {
			r.Healthy, r.Health, r.Started = n.Stats.Health == "OK", n.Stats.Health, n.Stats.StartTime*1000
		}
		if n.Weir != nil {
			r.Disk, r.SyncLatency, r.HeapBytes, r.Sync = n.Weir.Disk, n.Weir.SyncLatency, n.Weir.HeapBytes, n.Weir.Sync
		}
		for _, e := range n.Topics {
			if e.Tombstoned {
				r.Tombstones = append(r.Tombstones, e.Topic)
			}
		}
		t.Nodes = append(t.Nodes, r)
	}
	return t
}

// ChannelFigures are a channel's, at one node or over all.
type ChannelFigures struct {
	Channel  string `json:"channel"`
	Paused   bool   `json:"paused"`
	Depth    int64  `json:"depth"`
	InFlight int64  `json:"in_flight"`
	Deferred int64  `json:"deferred"`
	Messages int64  `json:"messages"`
	Requeued int64  `json:"requeued"`
	TimedOut int64  `json:"timed_out"`
	Dropped  int64  `json:"dropped"`
	Lost     int64  `json:"lost"`
	Full     bool   `json:"full"`
	Clients  int    `json:"clients"`
	Rates    Rates  `json:"rates"`
}

func (f *ChannelFigures) add(ch *upstream.NodeChannel, r Rates) {
	f.Paused = f.Paused || ch.Paused
	f.Depth += ch.Depth
	f.InFlight += ch.InFlightCount
	f.Deferred += ch.DeferredCount
	f.Messages += ch.MessageCount
	f.Requeued += ch.RequeueCount
	f.TimedOut += ch.TimeoutCount
	f.Dropped += ch.Dropped
	f.Lost += ch.Lost
	f.Full = f.Full || ch.Full
	f.Clients += ch.ClientCount
	f.Rates.add(r)
}

// TopicEvent is the data of the event topic.
type TopicEvent struct {
	Topic    string            `json:"topic"`
	Missing  bool              `json:"missing"`
	Paused   bool              `json:"paused"`
	Totals   Totals            `json:"totals"`
	Bytes    int64             `json:"bytes"`
	Rates    Rates             `json:"rates"`
	Channels []*ChannelFigures `json:"channels"`
	Nodes    []TopicAtNode     `json:"nodes"`
	Warnings []string          `json:"warnings"`
}

// TopicAtNode is a topic at one node.
type TopicAtNode struct {
	Node       string `json:"node"`
	Weir       bool   `json:"weir"`
	Paused     bool   `json:"paused"`
	Depth      int64  `json:"depth"`
	Messages   int64  `json:"messages"`
	Bytes      int64  `json:"bytes"`
	Channels   int    `json:"channels"`
	Rates      Rates  `json:"rates"`
	Tombstoned bool   `json:"tombstoned"`
}

// TopicEvent describes one topic.
func (p *Picture) TopicEvent(name string) *TopicEvent {
	e := &TopicEvent{Topic: name, Channels: []*ChannelFigures{}, Nodes: []TopicAtNode{}, Warnings: p.Warnings}
	s := p.topics[name]
	if s == nil {
		e.Missing = true
		return e
	}
	e.Paused, e.Totals, e.Bytes, e.Rates, e.Nodes = s.paused, s.totals, s.bytes, s.rates, s.nodes
	for _, channel := range slices.Sorted(maps.Keys(s.channels)) {
		e.Channels = append(e.Channels, s.channels[channel])
	}
	return e
}

// ChannelEvent is the data of the event channel.
type ChannelEvent struct {
	Topic     string          `json:"topic"`
	Missing   bool            `json:"missing"`
	Channel   ChannelFigures  `json:"channel"`
	Nodes     []channelAtNode `json:"nodes"`
	Consumers []consumer      `json:"consumers"`
	Warnings  []string        `json:"warnings"`
}

type channelAtNode struct {
	Node    string         `json:"node"`
	Weir    bool           `json:"weir"`
	Channel ChannelFigures `json:"channel"`
}

type consumer struct {
	Node          string `json:"node"`
	ClientID      string `json:"client_id"`
	Hostname      string `json:"hostname"`
	RemoteAddress string `json:"remote_address"`
	UserAgent     string `json:"user_agent"`
	Ready         int64  `json:"ready"`
	InFlight      int64  `json:"in_flight"`
	Messages      int64  `json:"messages"`
	Finished      int64  `json:"finished"`
	Requeued      int64  `json:"requeued"`
	Connected     int64  `json:"connected_ms"`
	SampleRate    int32  `json:"sample_rate"`
	TLS           bool   `json:"tls"`
	Deflate       bool   `json:"deflate"`
	Snappy        bool   `json:"snappy"`
}

// channelEvent describes one channel.
func (p *Picture) channelEvent(target upstream.Target) *ChannelEvent {
	e := &ChannelEvent{Topic: target.Topic, Channel: ChannelFigures{Channel: target.Channel}, Nodes: []channelAtNode{}, Consumers: []consumer{}}
	for _, n := range p.Nodes {
		if answer := n.consumers[target]; answer != nil && len(answer.Topics) > 0 && len(answer.Topics[0].Channels) > 0 {
			e.addNode(n, &answer.Topics[0].Channels[0])
		}
	}
	e.Warnings = p.warnings()
	e.Missing = len(e.Nodes) == 0
	if s := p.topics[target.Topic]; s != nil && s.channels[target.Channel] != nil {
		e.Channel.Rates = s.channels[target.Channel].Rates
	}
	slices.SortFunc(e.Consumers, func(a, b consumer) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.RemoteAddress, b.RemoteAddress))
	})
	return e
}

func (e *ChannelEvent) addNode(n *NodeState, ch *upstream.NodeChannel) {
	at := channelAtNode{Node: n.Name(), Weir: n.Weir != nil, Channel: ChannelFigures{Channel: ch.ChannelName}}
	at.Channel.add(ch, Rates{})
	e.Channel.add(ch, Rates{})
	e.Nodes = append(e.Nodes, at)
	for i := range ch.Clients {
		c := &ch.Clients[i]
		e.Consumers = append(e.Consumers, consumer{
			Node: n.Name(), ClientID: c.ClientID, Hostname: c.Hostname, RemoteAddress: c.RemoteAddress, UserAgent: c.UserAgent,
			Ready: c.ReadyCount, InFlight: c.InFlightCount, Messages: c.MessageCount, Finished: c.FinishCount, Requeued: c.RequeueCount,
			Connected: c.ConnectTime * 1000, SampleRate: c.SampleRate, TLS: c.TLS, Deflate: c.Deflate, Snappy: c.Snappy,
		})
	}
}
