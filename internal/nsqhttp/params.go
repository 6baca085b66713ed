package nsqhttp

import (
	"net/http"
	"net/url"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/httpdoor"
)

// boolParam reads a switch. As in nsqd the words are true, 1, false and 0 and no others; absent and other say what no parameter and
// what any other word means.
func boolParam(params url.Values, name string, absent, other bool) bool {
	if !params.Has(name) {
		return absent
	}
	switch params.Get(name) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	return other
}

// topicName returns the parameter topic, which must be there; its form is not looked at.
func topicName(params url.Values) (string, error) {
	if !params.Has("topic") {
		return "", httpdoor.NewError(http.StatusBadRequest, "MISSING_ARG_TOPIC")
	}
	return params.Get("topic"), nil
}

// newTopicName returns the parameter topic, which must be a name that a topic may have.
func newTopicName(params url.Values) (string, error) {
	name, err := topicName(params)
	if err == nil && !broker.ValidTopicName(name) {
		err = httpdoor.NewError(http.StatusBadRequest, "INVALID_TOPIC")
	}
	return name, err
}

// existingTopic finds the topic that the request is about.
func (s *Server) existingTopic(r *http.Request) (*broker.Topic, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return nil, err
	}
	name, err := topicName(params)
	if err != nil {
		return nil, err
	}
	return s.broker.FindTopic(r.Context(), name)
}

// topicAndChannel finds the topic and returns the name of the channel that the request is about.
func (s *Server) topicAndChannel(r *http.Request) (*broker.Topic, string, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return nil, "", err
	}
	topic, err := topicName(params)
	switch {
	case err != nil:
		return nil, "", err
	case !broker.ValidTopicName(topic):
		return nil, "", httpdoor.NewError(http.StatusBadRequest, "INVALID_ARG_TOPIC")
	case !params.Has("channel"):
		return nil, "", httpdoor.NewError(http.StatusBadRequest, "MISSING_ARG_CHANNEL")
	case !broker.ValidChannelName(params.Get("channel")):
		return nil, "", httpdoor.NewError(http.StatusBadRequest, "INVALID_ARG_CHANNEL")
	}
	t, err := s.broker.FindTopic(r.Context(), topic)
	if err != nil {
		return nil, "", err
	}
	return t, params.Get("channel"), nil
}

// existingChannel finds the channel that the request is about.
func (s *Server) existingChannel(r *http.Request) (*broker.Channel, error) {
	t, name, err := s.topicAndChannel(r)
	if err != nil {
		return nil, err
	}
	return t.FindChannel(r.Context(), name)
}
