package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/httpdoor"
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

func (s *Server) createTopic(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBytes+1))
	if err != nil {
		return nil, httpdoor.NewError(http.StatusBadRequest, "INVALID_REQUEST")
	}
	if len(body) > maxRequestBytes {
		return nil, httpdoor.NewError(http.StatusRequestEntityTooLarge, "BODY_TOO_BIG")
	}
	var q topicRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, httpdoor.NewError(http.StatusBadRequest, "INVALID_JSON")
	}
	topic, err := s.broker.CreatePlaced(r.Context(), q.Topic, catalog.Wish{Local: q.Local, Partitions: q.Partitions, Replicas: q.Replicas})
	if err != nil {
		return nil, err
	}
	return map[string]string{"topic": topic.Name()}, nil
}

// translate returns the answer for an error of the broker.
func translate(err error) *httpdoor.Error {
	for _, known := range []struct {
		err    error
		status int
		word   string
	}{
		{broker.ErrBadTopicName, http.StatusBadRequest, "INVALID_TOPIC"},
		{broker.ErrTopicNotFound, http.StatusNotFound, "TOPIC_NOT_FOUND"},
		{broker.ErrNoLeader, http.StatusServiceUnavailable, "NO_LEADER"},
		{broker.ErrUnknown, http.StatusServiceUnavailable, "OUTCOME_UNKNOWN"},
		{broker.ErrClosed, http.StatusServiceUnavailable, "EXITING"},
		{broker.ErrFull, http.StatusServiceUnavailable, "DISK_FULL"},
		{catalog.ErrPlacement, http.StatusBadRequest, ""},
	} {
		if errors.Is(err, known.err) {
			if known.word == "" {
				known.word = fmt.Sprint(err)
			}
			return httpdoor.NewError(known.status, known.word)
		}
	}
	return nil
}
