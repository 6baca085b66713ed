package admin

import (
	"net/http"

	"github.com/weirmq/weir/internal/admin/upstream"
)

// counted is how many messages a channel got at one node.
type counted struct {
	Node     string `json:"node"`
	Topic    string `json:"topic_name"`
	Channel  string `json:"channel_name"`
	Messages int64  `json:"message_count"`
}

// counter is GET /api/counter: keys are topic:channel:node.
func (s *Server) counter(r *http.Request) (any, error) {
	nodes, failures := s.client.Nodes(r.Context(), s.places(), false)
	topics, other := s.client.Topics(r.Context(), up(nodes), upstream.Ask{})
	failures.Add(other)
	m, err := s.judge(failures)
	stats := map[string]*counted{}
	for _, t := range topics {
		for _, ch := range t.Channels {
			key := t.TopicName + ":" + ch.ChannelName + ":" + ch.Node
			if stats[key] == nil {
				stats[key] = &counted{Node: ch.Node, Topic: t.TopicName, Channel: ch.ChannelName}
			}
			stats[key].Messages += ch.MessageCount
		}
	}
	return struct {
		Stats map[string]*counted `json:"stats"`
		message
	}{stats, m}, err
}

// up leaves out the nodes that are known to be down.
func up(nodes []*upstream.Node) []*upstream.Node {
	var list []*upstream.Node
	for _, n := range nodes {
		if n.Down == nil {
			list = append(list, n)
		}
	}
	return list
}
