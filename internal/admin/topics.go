package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/weirmq/weir/internal/admin/upstream"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/nsqwire"
)

// message is what every answer of nsqadmin's API carries: empty, or a warning about who did not answer.
type message struct {
	Message string `json:"message"`
}

// judge makes the message of an answer, or an error if nobody answered at all.
func (s *Server) judge(failures upstream.Failures) (message, error) {
	if failures.All() {
		return message{}, httpdoor.NewError(http.StatusBadGateway, "UPSTREAM_ERROR: "+failures.Text())
	}
	if len(failures.Errors) == 0 {
		return message{}, nil
	}
	return message{"WARNING: " + failures.Text()}, nil
}

func badRequest(word string) error { return httpdoor.NewError(http.StatusBadRequest, word) }

// topics is GET /api/topics[?inactive=true]: all topics that are known, or those that no node produces, with their channels.
func (s *Server) topics(r *http.Request) (any, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return nil, err
	}
	if params.Get("inactive") == "true" {
		inactive, failures := s.inactive(r.Context())
		m, err := s.judge(failures)
		return struct {
			Topics map[string][]string `json:"topics"`
			message
		}{inactive, m}, err
	}
	names, failures := s.client.TopicNames(r.Context(), s.places())
	m, err := s.judge(failures)
	return struct {
		Topics []string `json:"topics"`
		message
	}{names, m}, err
}

// inactive returns the topics that lookup services know and no node produces, with their channels.
func (s *Server) inactive(ctx context.Context) (map[string][]string, upstream.Failures) {
	places := s.places()
	topics := map[string][]string{}
	if len(places.Lookupds) == 0 {
		return topics, upstream.Failures{}
	}
	names, failures := s.client.LookupTopics(ctx, places.Lookupds)
	nodes, other := s.client.Nodes(ctx, upstream.Places{Lookupds: places.Lookupds}, true)
	failures.Add(other)
	produced := map[string]bool{}
	for _, n := range nodes {
		for _, entry := range n.Topics {
			produced[entry.Topic] = produced[entry.Topic] || !entry.Tombstoned
		}
	}
	for _, name := range names {
		if !produced[name] {
			topics[name], other = s.client.LookupChannels(ctx, places.Lookupds, name)
			failures.Add(other)
		}
	}
	return topics, failures
}

// gather asks the nodes that have a topic for it, or for one of its channels with its consumers.
func (s *Server) gather(ctx context.Context, target upstream.Target) ([]*upstream.TopicStats, upstream.Failures, error) {
	nodes, known, failures := s.client.Producers(ctx, s.places(), target.Topic)
	if !known && len(failures.Errors) == 0 {
		return nil, failures, httpdoor.NewError(http.StatusNotFound, "TOPIC_NOT_FOUND")
	}
	stats, other := s.client.Topics(ctx, nodes, upstream.Ask{Topic: target.Topic, Channel: target.Channel, Clients: target.Channel != ""})
	failures.Add(other)
	return stats, failures, nil
}

// topic is GET /api/topics/{topic}.
func (s *Server) topic(r *http.Request) (any, error) {
	name := r.PathValue("topic")
	stats, failures, err := s.gather(r.Context(), upstream.Target{Topic: name})
	if err != nil {
		return nil, err
	}
	m, err := s.judge(failures)
	return struct {
		*upstream.TopicStats
		message
	}{upstream.SumTopic(name, stats), m}, err
}

// channel is GET /api/topics/{topic}/{channel}.
func (s *Server) channel(r *http.Request) (any, error) {
	target := upstream.Target{Topic: r.PathValue("topic"), Channel: r.PathValue("channel")}
	stats, failures, err := s.gather(r.Context(), target)
	if err != nil {
		return nil, err
	}
	m, err := s.judge(failures)
	if err != nil {
		return nil, err
	}
	var channels []*upstream.ChannelStats
	for _, t := range stats {
		channels = append(channels, t.Channels...)
	}
	if len(channels) == 0 && m.Message == "" {
		return nil, httpdoor.NewError(http.StatusNotFound, "CHANNEL_NOT_FOUND")
	}
	return struct {
		*upstream.ChannelStats
		message
	}{upstream.SumChannel(target.Topic, target.Channel, channels), m}, nil
}

// createTopic is POST /api/topics {"topic","channel"?}.
func (s *Server) createTopic(r *http.Request) (any, error) {
	var ask struct {
		Topic   string `json:"topic"`
		Channel string `json:"channel"`
	}
	if decode(r, &ask, false) != nil {
		return nil, badRequest("INVALID_BODY")
	}
	if !nsqwire.ValidName(ask.Topic) {
		return nil, badRequest("INVALID_TOPIC")
	}
	if ask.Channel != "" && !nsqwire.ValidName(ask.Channel) {
		return nil, badRequest("INVALID_CHANNEL")
	}
	failures := s.client.Create(r.Context(), s.places(), upstream.Target{Topic: ask.Topic, Channel: ask.Channel})
	s.done(r, notice{Action: "create_topic", Topic: ask.Topic}, failures)
	if ask.Channel != "" {
		s.done(r, notice{Action: "create_channel", Topic: ask.Topic, Channel: ask.Channel}, failures)
	}
	return s.judge(failures)
}

// actOnTopic is POST /api/topics/{topic}[/{channel}] {"action":"pause"|"unpause"|"empty"}.
func (s *Server) actOnTopic(r *http.Request) (any, error) {
	target, kind, err := targetOf(r)
	if err != nil {
		return nil, err
	}
	var ask struct {
		Action string `json:"action"`
	}
	if decode(r, &ask, false) != nil {
		return nil, badRequest("INVALID_BODY")
	}
	switch ask.Action {
	case "pause", "unpause", "empty":
	default:
		return nil, badRequest("INVALID_ACTION")
	}
	failures, err := s.client.Act(r.Context(), s.places(), target, ask.Action)
	if errors.Is(err, upstream.ErrNoSuchTopic) {
		return nil, httpdoor.NewError(http.StatusNotFound, "TOPIC_NOT_FOUND")
	}
	s.done(r, notice{Action: ask.Action + kind, Topic: target.Topic, Channel: target.Channel}, failures)
	return s.judge(failures)
}

// deleteTopic is DELETE /api/topics/{topic}[/{channel}].
func (s *Server) deleteTopic(r *http.Request) (any, error) {
	target, kind, err := targetOf(r)
	if err != nil {
		return nil, err
	}
	failures := s.client.Delete(r.Context(), s.places(), target)
	s.done(r, notice{Action: "delete" + kind, Topic: target.Topic, Channel: target.Channel}, failures)
	return s.judge(failures)
}

// targetOf reads what a path names, and how notices call its kind.
func targetOf(r *http.Request) (target upstream.Target, kind string, err error) {
	target = upstream.Target{Topic: r.PathValue("topic"), Channel: r.PathValue("channel")}
	switch {
	case !nsqwire.ValidName(target.Topic):
		return target, "", badRequest("INVALID_TOPIC")
	case target.Channel != "" && !nsqwire.ValidName(target.Channel):
		return target, "", badRequest("INVALID_CHANNEL")
	case target.Channel != "":
		return target, "_channel", nil
	}
	return target, "_topic", nil
}
