package upstream

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// TopicStats is a topic at one node, or, with Node "*", over all of them, in the shape of nsqadmin's /api/topics/:topic.
type TopicStats struct {
	Node         string          `json:"node"`
	Hostname     string          `json:"hostname"`
	TopicName    string          `json:"topic_name"`
	Depth        int64           `json:"depth"`
	MemoryDepth  int64           `json:"memory_depth"`
	BackendDepth int64           `json:"backend_depth"`
	MessageCount int64           `json:"message_count"`
	NodeStats    []*TopicStats   `json:"nodes"`
	Channels     []*ChannelStats `json:"channels"`
	Paused       bool            `json:"paused"`
	Latency      *Latency        `json:"e2e_processing_latency"`

	MessageBytes int64 `json:"-"`
}

// ChannelStats is a channel at one node, or, with Node "*", over all of them, in the shape of nsqadmin's /api/topics/:topic/:channel.
type ChannelStats struct {
	Node          string          `json:"node"`
	Hostname      string          `json:"hostname"`
	TopicName     string          `json:"topic_name"`
	ChannelName   string          `json:"channel_name"`
	Depth         int64           `json:"depth"`
	MemoryDepth   int64           `json:"memory_depth"`
	BackendDepth  int64           `json:"backend_depth"`
	InFlightCount int64           `json:"in_flight_count"`
	DeferredCount int64           `json:"deferred_count"`
	RequeueCount  int64           `json:"requeue_count"`
	TimeoutCount  int64           `json:"timeout_count"`
	MessageCount  int64           `json:"message_count"`
	ClientCount   int             `json:"client_count"`
	NodeStats     []*ChannelStats `json:"nodes"`
	Clients       []*ClientStats  `json:"clients"`
	Paused        bool            `json:"paused"`
	Latency       *Latency        `json:"e2e_processing_latency"`

	Dropped int64 `json:"-"`
	Lost    int64 `json:"-"`
	Full    bool  `json:"-"`
}

// ClientStats is a consumer, as a node describes it and nsqadmin passes it on.
type ClientStats struct {
	Node                     string        `json:"node"`
	RemoteAddress            string        `json:"remote_address"`
	Version                  string        `json:"version"`
	ClientID                 string        `json:"client_id"`
	Hostname                 string        `json:"hostname"`
	UserAgent                string        `json:"user_agent"`
	ConnectTime              int64         `json:"connect_ts"` // Unix seconds
	Connected                time.Duration `json:"connected"`  // how long; set here
	InFlightCount            int64         `json:"in_flight_count"`
	ReadyCount               int64         `json:"ready_count"`
	FinishCount              int64         `json:"finish_count"`
	RequeueCount             int64         `json:"requeue_count"`
	MessageCount             int64         `json:"message_count"`
	SampleRate               int32         `json:"sample_rate"`
	Deflate                  bool          `json:"deflate"`
	Snappy                   bool          `json:"snappy"`
	Authed                   bool          `json:"authed"`
	AuthIdentity             string        `json:"auth_identity"`
	AuthIdentityURL          string        `json:"auth_identity_url"`
	TLS                      bool          `json:"tls"`
	CipherSuite              string        `json:"tls_cipher_suite"`
	TLSVersion               string        `json:"tls_version"`
	NegotiatedProtocol       string        `json:"tls_negotiated_protocol"`
	NegotiatedProtocolMutual bool          `json:"tls_negotiated_protocol_is_mutual"`
	TopologyZone             string        `json:"node_topology_zone,omitempty"`
	TopologyRegion           string        `json:"node_topology_region,omitempty"`
}

// Topics asks nodes for their topics and returns what each says, sorted by host name and node. Nodes that are known to be down are not
// asked again; they count as failures only where they were found out.
func (c *Client) Topics(ctx context.Context, nodes []*Node, ask Ask) ([]*TopicStats, Failures) {
	answers := make([]*NodeStats, len(nodes))
	failures := each(ctx, c, nodes, func(ctx context.Context, i int, n *Node) error {
		var err error
		answers[i], err = c.Stats(ctx, n.Address, ask)
		return err
	})
	now := time.Now()
	var all []*TopicStats
	for i, answer := range answers {
		if answer == nil {
			continue
		}
		for j := range answer.Topics {
			all = append(all, newTopicStats(nodes[i], &answer.Topics[j], now))
		}
	}
	slices.SortStableFunc(all, func(a, b *TopicStats) int {
		return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.Node, b.Node), cmp.Compare(a.TopicName, b.TopicName))
	})
	return all, failures
}

// newTopicStats gives nsqadmin's shape to what one node says.
func newTopicStats(n *Node, t *NodeTopic, now time.Time) *TopicStats {
	out := &TopicStats{
		Node: n.Name(), Hostname: n.Hostname, TopicName: t.TopicName, Depth: t.Depth, MemoryDepth: t.Depth - t.BackendDepth,
		BackendDepth: t.BackendDepth, MessageCount: t.MessageCount, MessageBytes: t.MessageBytes, Paused: t.Paused,
		Channels: []*ChannelStats{}, Latency: newLatency(t.Latency, "", "", ""),
	}
	for i := range t.Channels {
		ch := &t.Channels[i]
		channel := &ChannelStats{
			Node: n.Name(), Hostname: n.Hostname, TopicName: t.TopicName, ChannelName: ch.ChannelName, Depth: ch.Depth,
			MemoryDepth: ch.Depth - ch.BackendDepth, BackendDepth: ch.BackendDepth, InFlightCount: ch.InFlightCount,
			DeferredCount: ch.DeferredCount, RequeueCount: ch.RequeueCount, TimeoutCount: ch.TimeoutCount,
			MessageCount: ch.MessageCount, ClientCount: ch.ClientCount, Paused: ch.Paused,
			Dropped: ch.Dropped, Lost: ch.Lost, Full: ch.Full, Latency: newLatency(ch.Latency, "", "", ""),
		}
		if ch.Clients != nil {
			channel.Clients = make([]*ClientStats, 0, len(ch.Clients))
		}
		for j := range ch.Clients {
			client := ch.Clients[j]
			client.Node = n.Name()
			client.Connected = now.Truncate(time.Second).Sub(time.Unix(client.ConnectTime, 0))
			client.TopologyZone, client.TopologyRegion = n.TopologyZone, n.TopologyRegion
			channel.Clients = append(channel.Clients, &client)
		}
		out.Channels = append(out.Channels, channel)
	}
	return out
}

// SumTopic adds up what the nodes say of one topic. It shares the nodes' stats, and changes none.
func SumTopic(topic string, nodes []*TopicStats) *TopicStats {
	sum := &TopicStats{Node: "*", TopicName: topic, NodeStats: nodes, Channels: []*ChannelStats{}, Latency: newLatency(nil, topic, "", "*")}
	byName := map[string][]*ChannelStats{}
	for _, t := range nodes {
		sum.Depth += t.Depth
		sum.MemoryDepth += t.MemoryDepth
		sum.BackendDepth += t.BackendDepth
		sum.MessageCount += t.MessageCount
		sum.MessageBytes += t.MessageBytes
		sum.Paused = sum.Paused || t.Paused
		sum.Latency.add(t.Latency)
		for _, ch := range t.Channels {
			byName[ch.ChannelName] = append(byName[ch.ChannelName], ch)
		}
	}
	for name, channels := range byName {
		sum.Channels = append(sum.Channels, SumChannel(topic, name, channels))
	}
	slices.SortFunc(sum.Channels, func(a, b *ChannelStats) int { return cmp.Compare(a.ChannelName, b.ChannelName) })
	return sum
}

// SumChannel adds up what the nodes say of one channel. It shares the nodes' stats, and changes none.
func SumChannel(topic, channel string, nodes []*ChannelStats) *ChannelStats {
	sum := &ChannelStats{
		Node: "*", TopicName: topic, ChannelName: channel, NodeStats: nodes, Clients: []*ClientStats{}, Latency: newLatency(nil, topic, channel, "*"),
	}
	for _, ch := range nodes {
		sum.Depth += ch.Depth
		sum.MemoryDepth += ch.MemoryDepth
		sum.BackendDepth += ch.BackendDepth
		sum.InFlightCount += ch.InFlightCount
		sum.DeferredCount += ch.DeferredCount
		sum.RequeueCount += ch.RequeueCount
		sum.TimeoutCount += ch.TimeoutCount
		sum.MessageCount += ch.MessageCount
		sum.ClientCount += ch.ClientCount
		sum.Dropped += ch.Dropped
		sum.Lost += ch.Lost
		sum.Full = sum.Full || ch.Full
		sum.Paused = sum.Paused || ch.Paused
		sum.Latency.add(ch.Latency)
		sum.Clients = append(sum.Clients, ch.Clients...)
	}
	slices.SortStableFunc(sum.Clients, func(a, b *ClientStats) int { return cmp.Compare(a.Hostname, b.Hostname) })
	return sum
}
