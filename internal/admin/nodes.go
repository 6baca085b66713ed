package admin

import (
	"net/http"
	"slices"

	"github.com/weirmq/weir/internal/admin/upstream"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/nsqwire"
)

// nodes is GET /api/nodes. Nodes that were named by hand and are down are left out, as in nsqadmin, and stand in the message.
func (s *Server) nodes(r *http.Request) (any, error) {
	found, failures := s.client.Nodes(r.Context(), s.places(), true)
	m, err := s.judge(failures)
	found = slices.DeleteFunc(found, func(n *upstream.Node) bool { return n.Down != nil })
	return struct {
		Nodes []*upstream.Node `json:"nodes"`
		message
	}{found, m}, err
}

// node is GET /api/nodes/{node}: its topics, channels and consumers.
func (s *Server) node(r *http.Request) (any, error) {
	name := r.PathValue("node")
	found, failures := s.client.Nodes(r.Context(), s.places(), false)
	m, err := s.judge(failures)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(found, func(n *upstream.Node) bool { return n.Name() == name && n.Down == nil })
	if at < 0 {
		return nil, httpdoor.NewError(http.StatusNotFound, "NODE_NOT_FOUND")
	}
	topics, asked := s.client.Topics(r.Context(), found[at:at+1], upstream.Ask{Clients: true})
	if _, err := s.judge(asked); err != nil {
		return nil, err
	}
	answer := struct {
		Node     string                 `json:"node"`
		Topics   []*upstream.TopicStats `json:"topics"`
		Messages int64                  `json:"total_messages"`
		Clients  int64                  `json:"total_clients"`
		message
	}{Node: name, Topics: topics, message: m}
	for _, t := range topics {
		answer.Messages += t.MessageCount
		for _, ch := range t.Channels {
			answer.Clients += int64(len(ch.Clients))
		}
	}
	return answer, nil
}

// tombstone is DELETE /api/nodes/{node} {"topic"}: consumers are not sent to the node for the topic any more, and it is deleted there.
func (s *Server) tombstone(r *http.Request) (any, error) {
	var ask struct {
		Topic string `json:"topic"`
	}
	if decode(r, &ask, false) != nil {
		return nil, badRequest("INVALID_BODY")
	}
	if !nsqwire.ValidName(ask.Topic) {
		return nil, badRequest("INVALID_TOPIC")
	}
	node := r.PathValue("node")
	failures := s.client.Tombstone(r.Context(), s.places(), node, ask.Topic)
	s.done(r, notice{Action: "tombstone_topic_producer", Topic: ask.Topic, Node: node}, failures)
	return s.judge(failures)
}
