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
// described only if asked for. In a cluster depths and counts are those of the partitions that this node leads, so that the
// nodes' sums are right.
func (b *Broker) Stats(topic, channel string, clients bool) []TopicStats {
	var all []TopicStats
	for _, t := range b.Topics() {
		if topic == "" || t.name == topic {
			all = append(all, t.stats(channel, clients))
		}
	}
	return all
}

func (t *Topic) stats(channel string, clients bool) TopicStats {
	s := TopicStats{Name: t.name, MessageCount: t.messages.Load(), MessageBytes: t.bytes.Load()}
	for _, p := range t.parts {
		s.Paused = s.Paused || p.paused()
		if p.counts() {
			s.Depth += p.depth()
		}
	}
	quantiles := t.broker.options.LatencyQuantiles
	var ofChannel, ofTopic *latency.Sum
	if len(quantiles) > 0 {
		ofChannel, ofTopic = latency.NewSum(quantiles), latency.NewSum(quantiles)
	}
	for _, ch := range t.Channels() {
		measured := t.summarize(ch.name, ofChannel, ofTopic)
		if channel == "" || ch.name == channel {
			s.Channels = append(s.Channels, t.channelStats(ch.name, clients))
			s.Channels[len(s.Channels)-1].Latency = measured
		}
	}
	if ofTopic != nil && len(t.Channels()) > 0 {
		s.Latency = ofTopic.Take()
	}
	return s
}

// counts reports whether this node's numbers of the partition are the ones to show. A lone node's always are.
func (p *partition) counts() bool { return p.leads.Load() || p.broker.options.Cluster == nil }

func (t *Topic) channelStats(name string, clients bool) ChannelStats {
	subs := t.entered.of(name)
	s := ChannelStats{Name: name, ClientCount: len(subs)}
	t.eachChannel(name, func(ch *Channel) { ch.addTo(&s) })
	if !clients {
		return s
	}
	for _, sub := range subs {
		described := sub.client.Stats()
		described.InFlightCount = sub.inFlight()
		s.Clients = append(s.Clients, described)
	}
	slices.SortFunc(s.Clients, func(a, b ClientStats) int { return cmp.Compare(a.RemoteAddress, b.RemoteAddress) })
	return s
}

// addTo adds what there is to tell about the channel of one partition.
func (c *Channel) addTo(s *ChannelStats) {
	end := c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Paused = s.Paused || c.mu.queue.Paused()
	s.LostCount += c.mu.lostCount
	if !c.partition.counts() {
		return
	}
	n := c.mu.queue.Counts(end)
	s.Depth += int64(n.Depth)
	s.InFlight += int64(n.InFlight)
	s.Deferred += int64(n.Deferred)
	s.MessageCount += uint64(max(end-c.mu.first, 0))
	s.RequeueCount += n.Requeued
	s.TimeoutCount += n.TimedOut
	s.DroppedCount += n.Dropped
	s.Full = s.Full || n.Stalled
}

// inFlight returns how many messages the session holds.
func (s *Subscription) inFlight() (n int64) {
	for _, seat := range *s.led.Load() {
		c := seat.channel
		c.mu.Lock()
		if seat.liveLocked() {
			n += int64(seat.session.InFlight())
		}
		c.mu.Unlock()
	}
	return n
}
