package nsqhttp

import (
	"net/http"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/latency"
	"github.com/weirmq/weir/internal/memstats"
)

// nodeStats is the answer of /stats?format=json. The order and the names of the fields are nsqd's.
type nodeStats struct {
	Version   string          `json:"version"`
	Health    string          `json:"health"`
	StartTime int64           `json:"start_time"`
	Topics    []topicStats    `json:"topics"`
	Memory    *memstats.Stats `json:"memory,omitempty"`
	Producers []clientStats   `json:"producers"`
}

type topicStats struct {
	TopicName    string         `json:"topic_name"`
	Channels     []channelStats `json:"channels"`
	Depth        int64          `json:"depth"`
	BackendDepth int64          `json:"backend_depth"`
	MessageCount uint64         `json:"message_count"`
	MessageBytes uint64         `json:"message_bytes"`
	Paused       bool           `json:"paused"`
	Latency      latencyStats   `json:"e2e_processing_latency"`
}

type channelStats struct {
	ChannelName   string        `json:"channel_name"`
	Depth         int64         `json:"depth"`
	BackendDepth  int64         `json:"backend_depth"`
	InFlightCount int64         `json:"in_flight_count"`
	DeferredCount int64         `json:"deferred_count"`
	MessageCount  uint64        `json:"message_count"`
	RequeueCount  uint64        `json:"requeue_count"`
	TimeoutCount  uint64        `json:"timeout_count"`
	ClientCount   int           `json:"client_count"`
	Clients       []clientStats `json:"clients"`
	Paused        bool          `json:"paused"`
	Latency       latencyStats  `json:"e2e_processing_latency"`
	// Weir's own; absent unless there is something to say.
	Dropped uint64 `json:"dropped_count,omitempty"`
	Full    bool   `json:"full,omitempty"`
}

type clientStats struct {
	ClientID                 string     `json:"client_id"`
	Hostname                 string     `json:"hostname"`
	Version                  string     `json:"version"`
	RemoteAddress            string     `json:"remote_address"`
	State                    int32      `json:"state"`
	ReadyCount               int64      `json:"ready_count"`
	InFlightCount            int64      `json:"in_flight_count"`
	MessageCount             uint64     `json:"message_count"`
	FinishCount              uint64     `json:"finish_count"`
	RequeueCount             uint64     `json:"requeue_count"`
	ConnectTime              int64      `json:"connect_ts"`
	SampleRate               int32      `json:"sample_rate"`
	Deflate                  bool       `json:"deflate"`
	Snappy                   bool       `json:"snappy"`
	UserAgent                string     `json:"user_agent"`
	Authed                   bool       `json:"authed,omitempty"`
	AuthIdentity             string     `json:"auth_identity,omitempty"`
	AuthIdentityURL          string     `json:"auth_identity_url,omitempty"`
	TopologyZone             string     `json:"topology_zone"`
	TopologyRegion           string     `json:"topology_region"`
	PubCounts                []pubCount `json:"pub_counts,omitempty"`
	TLS                      bool       `json:"tls"`
	CipherSuite              string     `json:"tls_cipher_suite"`
	TLSVersion               string     `json:"tls_version"`
	NegotiatedProtocol       string     `json:"tls_negotiated_protocol"`
	NegotiatedProtocolMutual bool       `json:"tls_negotiated_protocol_is_mutual"`
}

type pubCount struct {
	Topic string `json:"topic"`
	Count uint64 `json:"count"`
}

// latencyStats are the times from publish to finish; without percentiles unless they are measured.
type latencyStats struct {
	Count       int64        `json:"count"`
	Percentiles []percentile `json:"percentiles"`
}

type percentile struct {
	Quantile float64 `json:"quantile"`
	Value    int64   `json:"value"` // ns
}

func newLatencyStats(measured *latency.Summary) latencyStats {
	if measured == nil {
		return latencyStats{}
	}
	out := latencyStats{Count: measured.Count, Percentiles: make([]percentile, len(measured.Values))}
	for i, v := range measured.Values {
		out.Percentiles[i] = percentile{v.Quantile, v.Took.Nanoseconds()}
	}
	return out
}

// stats is GET /stats[?format=json][&topic=T][&channel=C][&include_clients=B][&include_mem=B].
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	params, err := httpdoor.Query(r)
	if err != nil {
		s.door.Fail(w, err)
		return
	}
	topic, channel := params.Get("topic"), params.Get("channel")
	clients := boolParam(params, "include_clients", true, true)
	all := nodeStats{
		Version: s.options.Version, Health: s.health(), StartTime: s.options.Started.Unix(),
		Topics: s.topicStats(topic, channel, clients),
	}
	if boolParam(params, "include_mem", true, true) {
		all.Memory = memstats.Read()
	}
	if clients && all.Topics != nil { // as in nsqd: of an unknown topic nothing is told
		for _, c := range s.options.Producers() {
			all.Producers = append(all.Producers, newClientStats(&c, topic))
		}
	}
	if params.Get("format") == "json" {
		s.door.WriteJSON(w, http.StatusOK, all)
		return
	}
	w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.writeStatsText(w, &all)
}

// topicStats describes the topics asked for. As in nsqd, an unknown topic gives null, and a topic without the channel asked for
// is left out.
func (s *Server) topicStats(topic, channel string, clients bool) []topicStats {
	if _, ok := s.broker.Topic(topic); topic != "" && !ok {
		return nil
	}
	topics := []topicStats{}
	for _, t := range s.broker.Stats(topic, channel, clients) {
		if channel != "" && len(t.Channels) == 0 {
			continue
		}
		channels := make([]channelStats, 0, len(t.Channels))
		for i := range t.Channels {
			channels = append(channels, newChannelStats(&t.Channels[i], topic, clients))
		}
		topics = append(topics, topicStats{
			TopicName: t.Name, Channels: channels, Depth: t.Depth, BackendDepth: t.Depth,
			MessageCount: t.MessageCount, MessageBytes: t.MessageBytes, Paused: t.Paused,
			Latency: newLatencyStats(t.Latency),
		})
	}
	return topics
}

// newChannelStats gives a channel in nsqd's shape. Everything is on disk, so the backend's depth is the depth.
func newChannelStats(c *broker.ChannelStats, topic string, clients bool) channelStats {
	out := channelStats{
		ChannelName: c.Name, Depth: c.Depth, BackendDepth: c.Depth, InFlightCount: c.InFlight, DeferredCount: c.Deferred,
		MessageCount: c.MessageCount, RequeueCount: c.RequeueCount, TimeoutCount: c.TimeoutCount, ClientCount: c.ClientCount,
		Paused: c.Paused, Dropped: c.DroppedCount, Full: c.Full, Latency: newLatencyStats(c.Latency),
	}
	if clients {
		out.Clients = make([]clientStats, 0, len(c.Clients))
		for i := range c.Clients {
			out.Clients = append(out.Clients, newClientStats(&c.Clients[i], topic))
		}
	}
	return out
}

// newClientStats gives a client in nsqd's shape. When one topic is asked for, the publishes to others are left out; the client is
// not.
func newClientStats(c *broker.ClientStats, topic string) clientStats {
	out := clientStats{
		ClientID: c.ClientID, Hostname: c.Hostname, Version: c.Version, RemoteAddress: c.RemoteAddress, State: c.State,
		ReadyCount: c.ReadyCount, InFlightCount: c.InFlightCount, MessageCount: c.MessageCount, FinishCount: c.FinishCount,
		RequeueCount: c.RequeueCount, ConnectTime: c.ConnectTime, SampleRate: c.SampleRate, Deflate: c.Deflate,
		Snappy: c.Snappy, UserAgent: c.UserAgent, TLS: c.TLS, TLSVersion: c.TLSVersion, CipherSuite: c.TLSCipherSuite,
		NegotiatedProtocolMutual: c.TLS, // always, says crypto/tls
		Authed:                   c.Authed, AuthIdentity: c.AuthIdentity, AuthIdentityURL: c.AuthIdentityURL, TopologyZone: c.Zone, TopologyRegion: c.Region,
	}
	for _, p := range c.PubCounts {
		if topic == "" || topic == p.Topic {
			out.PubCounts = append(out.PubCounts, pubCount(p))
		}
	}
	return out
}
