package upstream

import (
	"context"
	"net/url"
	"slices"

	"github.com/weirmq/weir/internal/nsqwire"
)

// nodeInfo is the answer of a node's /info.
type nodeInfo struct {
	Version          string `json:"version"`
	BroadcastAddress string `json:"broadcast_address"`
	Hostname         string `json:"hostname"`
	TCPPort          int    `json:"tcp_port"`
	HTTPPort         int    `json:"http_port"`
	TopologyZone     string `json:"topology_zone"`
	TopologyRegion   string `json:"topology_region"`
}

// NodeStats is the answer of a node's /stats?format=json.
type NodeStats struct {
	Version   string         `json:"version"`
	Health    string         `json:"health"`
	StartTime int64          `json:"start_time"` // Unix seconds
	Topics    []NodeTopic    `json:"topics"`
	Memory    map[string]any `json:"memory"`
}

// Has reports whether the node has a topic.
func (s *NodeStats) Has(topic string) bool {
	return slices.ContainsFunc(s.Topics, func(t NodeTopic) bool { return t.TopicName == topic })
}

// NodeTopic is a topic as a node describes it.
type NodeTopic struct {
	TopicName    string        `json:"topic_name"`
	Depth        int64         `json:"depth"`
	BackendDepth int64         `json:"backend_depth"`
	MessageCount int64         `json:"message_count"`
	MessageBytes int64         `json:"message_bytes"`
	Paused       bool          `json:"paused"`
	Channels     []NodeChannel `json:"channels"`
	Latency      *NodeLatency  `json:"e2e_processing_latency"`
}

// NodeChannel is a channel as a node describes it.
type NodeChannel struct {
	ChannelName   string        `json:"channel_name"`
	Depth         int64         `json:"depth"`
	BackendDepth  int64         `json:"backend_depth"`
	InFlightCount int64         `json:"in_flight_count"`
	DeferredCount int64         `json:"deferred_count"`
	MessageCount  int64         `json:"message_count"`
	RequeueCount  int64         `json:"requeue_count"`
	TimeoutCount  int64         `json:"timeout_count"`
	ClientCount   int           `json:"client_count"`
	Clients       []ClientStats `json:"clients"`
	Paused        bool          `json:"paused"`
	Latency       *NodeLatency  `json:"e2e_processing_latency"`
	// Weir's own.
	Dropped int64 `json:"dropped_count"`
	Lost    int64 `json:"lost_count"`
	Full    bool  `json:"full"`
}

// NodeLatency is what a node measured between a message's publishing and its finish.
type NodeLatency struct {
	Count       int                  `json:"count"`
	Percentiles []map[string]float64 `json:"percentiles"`
}

// Ask narrows down what a node is to describe. An empty Topic or Channel is all of them.
type Ask struct {
	Topic, Channel  string
	Clients, Memory bool
}

// Stats asks one node. What has no name of a topic or channel is left out.
func (c *Client) Stats(ctx context.Context, address string, ask Ask) (*NodeStats, error) {
	path := "/stats?format=json"
	if ask.Topic != "" {
		path += "&topic=" + url.QueryEscape(ask.Topic)
	}
	if ask.Channel != "" {
		path += "&channel=" + url.QueryEscape(ask.Channel)
	}
	if !ask.Clients {
		path += "&include_clients=false"
	}
	if !ask.Memory {
		path += "&include_mem=false"
	}
	var stats NodeStats
	if err := c.Get(ctx, address, path, &stats); err != nil {
		return nil, err
	}
	stats.Topics = slices.DeleteFunc(stats.Topics, func(t NodeTopic) bool {
		return !nsqwire.ValidName(t.TopicName) || ask.Topic != "" && t.TopicName != ask.Topic
	})
	for i := range stats.Topics {
		t := &stats.Topics[i]
		t.Channels = slices.DeleteFunc(t.Channels, func(ch NodeChannel) bool {
			return !nsqwire.ValidName(ch.ChannelName) || ask.Channel != "" && ch.ChannelName != ask.Channel
		})
	}
	return &stats, nil
}
