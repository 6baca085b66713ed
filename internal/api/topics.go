package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// topicSummary is a topic in a list.
type topicSummary struct {
	Topic    string           `json:"topic"`
	Paused   bool             `json:"paused"`
	Depth    int64            `json:"depth"`
	Messages uint64           `json:"messages"`
	Bytes    uint64           `json:"bytes"`
	Rates    rates            `json:"rates"`
	Channels []channelSummary `json:"channels"`
}

// channelSummary is a channel in a list.
type channelSummary struct {
	Channel  string `json:"channel"`
	Paused   bool   `json:"paused"`
	Depth    int64  `json:"depth"`
	InFlight int64  `json:"in_flight"`
	Deferred int64  `json:"deferred"`
	Messages uint64 `json:"messages"`
	Requeued uint64 `json:"requeued"`
	TimedOut uint64 `json:"timed_out"`
	Dropped  uint64 `json:"dropped"`
	Lost     uint64 `json:"lost"`
	Full     bool   `json:"full"`
	Clients  int    `json:"clients"`
	Rates    rates  `json:"rates"`
}

// partitionAnswer is this node's replica of a partition.
type partitionAnswer struct {
	Partition uint16        `json:"partition"`
	Leading   bool          `json:"leading"`
	Healthy   bool          `json:"healthy"`
	Health    string        `json:"health"`
	Start     record.Offset `json:"start"`
	End       record.Offset `json:"end"`
	Segments  int           `json:"segments"`
	DiskBytes int64         `json:"disk_bytes"`
	Newest    *int64        `json:"newest_ms"`
}

func (s *Server) summarize(t *broker.TopicStats) topicSummary {
	out := topicSummary{
		Topic: t.Name, Paused: t.Paused, Depth: t.Depth, Messages: t.MessageCount, Bytes: t.MessageBytes,
		Rates: s.history.ratesOf(key{t.Name, ""}), Channels: make([]channelSummary, 0, len(t.Channels)),
	}
	for i := range t.Channels {
		out.Channels = append(out.Channels, s.summarizeChannel(t.Name, &t.Channels[i]))
	}
	return out
}

func (s *Server) summarizeChannel(topic string, c *broker.ChannelStats) channelSummary {
	return channelSummary{
		Channel: c.Name, Paused: c.Paused, Depth: c.Depth, InFlight: c.InFlight, Deferred: c.Deferred, Messages: c.MessageCount,
		Requeued: c.RequeueCount, TimedOut: c.TimeoutCount, Dropped: c.DroppedCount, Lost: c.LostCount, Full: c.Full, Clients: c.ClientCount,
		Rates: s.history.ratesOf(key{topic, c.Name}),
	}
}

// topics is GET /v1/topics.
func (s *Server) topics(*http.Request) (any, error) {
	all := s.broker.Stats("", "", false)
	answer := struct {
		Topics []topicSummary `json:"topics"`
	}{make([]topicSummary, 0, len(all))}
	for i := range all {
		answer.Topics = append(answer.Topics, s.summarize(&all[i]))
	}
	return answer, nil
}

// topic is GET /v1/topics/{topic}.
func (s *Server) topic(r *http.Request) (any, error) {
	t, err := s.topicOf(r)
	if err != nil {
		return nil, err
	}
	all := s.broker.Stats(t.Name(), "", false)
	if len(all) == 0 {
		return nil, broker.ErrTopicNotFound // deleted just now
	}
	answer := struct {
		topicSummary
		Partitions []partitionAnswer `json:"partitions"`
	}{s.summarize(&all[0]), []partitionAnswer{}}
	for _, p := range t.Partitions() {
		out := partitionAnswer{
			Partition: p.Number, Leading: p.Leading, Healthy: p.Failure == nil, Health: "OK", Start: p.Start, End: p.End,
			Segments: p.Segments, DiskBytes: p.Bytes,
		}
		if p.Failure != nil {
			out.Health = p.Failure.Error()
		}
		if p.Newest > 0 {
			ms := p.Newest / 1e6
			out.Newest = &ms
		}
		answer.Partitions = append(answer.Partitions, out)
	}
	return answer, nil
}

// client is a consumer of a channel.
type client struct {
	ClientID      string `json:"client_id"`
	Hostname      string `json:"hostname"`
	RemoteAddress string `json:"remote_address"`
	UserAgent     string `json:"user_agent"`
	Ready         int64  `json:"ready"`
	InFlight      int64  `json:"in_flight"`
	Messages      uint64 `json:"messages"`
	Finished      uint64 `json:"finished"`
	Requeued      uint64 `json:"requeued"`
	Connected     int64  `json:"connected_ms"`
}

// floor is where a channel stands in a partition.
type floor struct {
	Partition uint16        `json:"partition"`
	Floor     record.Offset `json:"floor"`
}

// channel is GET /v1/topics/{topic}/channels/{channel}.
func (s *Server) channel(r *http.Request) (any, error) {
	t, err := s.topicOf(r)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("channel")
	all := s.broker.Stats(t.Name(), name, true)
	if len(all) == 0 || len(all[0].Channels) == 0 {
		return nil, broker.ErrChannelNotFound
	}
	c := &all[0].Channels[0]
	answer := struct {
		Topic     string         `json:"topic"`
		Channel   channelSummary `json:"channel"`
		Floors    []floor        `json:"floors"`
		Consumers []client       `json:"consumers"`
	}{t.Name(), s.summarizeChannel(t.Name(), c), []floor{}, make([]client, 0, len(c.Clients))}
	for number, at := range t.Floors(name) {
		answer.Floors = append(answer.Floors, floor{number, at})
	}
	slices.SortFunc(answer.Floors, func(a, b floor) int { return cmp.Compare(a.Partition, b.Partition) })
	for i := range c.Clients {
		x := &c.Clients[i]
		answer.Consumers = append(answer.Consumers, client{
			ClientID: x.ClientID, Hostname: x.Hostname, RemoteAddress: x.RemoteAddress, UserAgent: x.UserAgent, Ready: x.ReadyCount,
			InFlight: x.InFlightCount, Messages: x.MessageCount, Finished: x.FinishCount, Requeued: x.RequeueCount, Connected: x.ConnectTime * 1000,
		})
	}
	return answer, nil
}
