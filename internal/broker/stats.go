package broker

import (
	"cmp"
	"slices"

	"github.com/weirmq/weir/internal/latency"
)

// TopicStats describes a topic. Counts restart at 0 with the process, as NSQ's do.
type TopicStats struct {
	Name         string
	Depth        int64 // messages that wait for a dispatch to channels
	MessageCount uint64
	MessageBytes uint64
	Paused       bool
	Channels     []ChannelStats
	Latency      *latency.Summary // of all channels, from publish to finish; nil unless it is measured and there are channels
}

// ChannelStats describes a channel.
type ChannelStats struct {
	Name         string
	Depth        int64 // messages that wait, without those in flight and deferred
	InFlight     int64
	Deferred     int64
	MessageCount uint64
	RequeueCount uint64
	TimeoutCount uint64
	DroppedCount uint64 // of an ephemeral channel: dropped beyond the bound
	LostCount    uint64 // passed over: lost to damage and given up by a repair
	Full         bool   // so much is unfinished that the channel reads no further
	Paused       bool
	ClientCount  int
	Latency      *latency.Summary // from publish to finish; nil unless it is measured
	Clients      []ClientStats
}

// ClientStats describes a session, in the terms of NSQ's /stats.
type ClientStats struct {
	ClientID      string
	Hostname      string
	Version       string
	RemoteAddress string
	State         int32 // 0 init, 3 subscribed, 4 closing
	ReadyCount    int64
	InFlightCount int64 // set by the broker, which alone knows of timeouts
	MessageCount  uint64
	FinishCount   uint64
	RequeueCount  uint64
	ConnectTime   int64 // Unix seconds
	SampleRate    int32
	Deflate       bool
	Snappy        bool
	TLS           bool
	// TLSVersion ("TLS1.3") and TLSCipherSuite are empty without TLS.
	TLSVersion, TLSCipherSuite string
	// AuthIdentity and AuthIdentityURL are what the AUTH server says of a client that is Authed.
	Authed                        bool
	AuthIdentity, AuthIdentityURL string
	UserAgent                     string
	Region, Zone                  string // where the client says that it is
	PubCounts                     []PubCount
}

// PubCount is how many messages a session published to a topic.
type PubCount struct {
	Topic string
	Count uint64
}

// Stats describes the topics and their channels, sorted by name; topic and channel narrow it down unless empty. Clients are
// described only if asked for.
func (b *Broker) Stats(topic, channel string, clients bool) []TopicStats {
	var all []TopicStats
	var ofChannel, ofTopic *latency.Sum
	if quantiles := b.options.LatencyQuantiles; len(quantiles) > 0 {
		ofChannel, ofTopic = latency.NewSum(quantiles), latency.NewSum(quantiles)
	}
	for _, t := range b.Topics() {
		if topic != "" && t.name != topic {
			continue
		}
		s := TopicStats{
			Name:         t.name,
			Depth:        t.partition.depth(),
			MessageCount: t.messages.Load(),
			MessageBytes: t.bytes.Load(),
			Paused:       t.partition.paused(),
		}
		for _, ch := range t.Channels() {
			measured := ch.summarize(ofChannel, ofTopic)
			if channel == "" || ch.name == channel {
				s.Channels = append(s.Channels, ch.stats(clients))
				s.Channels[len(s.Channels)-1].Latency = measured
			}
		}
		if ofTopic != nil && len(t.Channels()) > 0 {
			s.Latency = ofTopic.Take()
		}
		all = append(all, s)
	}
	return all
}

func (c *Channel) stats(clients bool) ChannelStats {
	end := c.end()
	c.mu.Lock()
	n := c.mu.queue.Counts(end)
	s := ChannelStats{
		Name:         c.name,
		Depth:        int64(n.Depth),
		InFlight:     int64(n.InFlight),
		Deferred:     int64(n.Deferred),
		MessageCount: uint64(max(end-c.mu.first, 0)),
		RequeueCount: n.Requeued,
		TimeoutCount: n.TimedOut,
		DroppedCount: n.Dropped,
		LostCount:    c.mu.lostCount,
		Full:         n.Stalled,
		Paused:       c.mu.queue.Paused(),
		ClientCount:  len(c.mu.subs),
	}
	subs := make(map[Client]int64, len(c.mu.subs)) // messages in flight
	for sub := range c.mu.subs {
		subs[sub.client] = 0
		if c.mu.leading {
			subs[sub.client] = int64(sub.session.InFlight())
		}
	}
	c.mu.Unlock()
	if clients {
		for client, inFlight := range subs {
			described := client.Stats()
			described.InFlightCount = inFlight
			s.Clients = append(s.Clients, described)
		}
		slices.SortFunc(s.Clients, func(a, b ClientStats) int { return cmp.Compare(a.RemoteAddress, b.RemoteAddress) })
	}
	return s
}
