package api

import (
	"net/http"

	"github.com/weirmq/weir/internal/catalog"
)

// topicRequest is the body of POST /v1/topics. What is left out is as the cluster's settings say.
type topicRequest struct {
	Topic      string `json:"topic"`
	Partitions uint16 `json:"partitions"`
	Replicas   uint16 `json:"replicas"`
	// Local topics have one partition on each node, without replicas: they take messages as long as the node lives.
	Local bool `json:"local"`
}

// maxRequestBytes bounds the bodies of requests that carry no messages.
const maxRequestBytes = 64 << 10

// createTopic is POST /v1/topics: a topic with partitions and replicas of one's own.
func (s *Server) createTopic(r *http.Request) (any, error) {
	var q topicRequest
	if err := decode(r, maxRequestBytes, &q); err != nil {
		return nil, err
	}
	topic, err := s.broker.CreatePlaced(r.Context(), q.Topic, catalog.Wish{Local: q.Local, Partitions: q.Partitions, Replicas: q.Replicas})
	if s.did(r, "create topic "+q.Topic, err) != nil {
		return nil, err
	}
	return map[string]string{"topic": topic.Name()}, nil
}
