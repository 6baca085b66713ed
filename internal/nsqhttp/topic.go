package nsqhttp

import (
	"net/http"

	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/nsqwire"
)

// createTopic is POST /topic/create?topic=T. An existing topic is no error.
func (s *Server) createTopic(r *http.Request) (string, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return "", err
	}
	name, err := newTopicName(params)
	if err != nil {
		return "", err
	}
	_, err = s.broker.CreateTopic(r.Context(), name)
	return "", err
}

// deleteTopic is POST /topic/delete?topic=T: with its channels and messages. It deletes nothing if it follows a tombstone for this
// node of a cluster: nsqadmin's way to take a topic from one node.
func (s *Server) deleteTopic(r *http.Request) (string, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return "", err
	}
	name, err := topicName(params)
	if err != nil {
		return "", err
	}
	if s.options.Withdraw != nil && !nsqwire.IsEphemeral(name) && s.options.Withdraw(r.Context(), name) {
		return "", nil
	}
	return "", s.broker.DeleteTopic(r.Context(), name) // which knows what another node has deleted just now
}

// emptyTopic is POST /topic/empty?topic=T: the messages that no channel has yet, not those of channels.
func (s *Server) emptyTopic(r *http.Request) (string, error) {
	params, err := httpdoor.Query(r)
	if err != nil {
		return "", err
	}
	if _, err := newTopicName(params); err != nil { // here alone nsqd looks at the name's form first
		return "", err
	}
	t, err := s.existingTopic(r)
	if err != nil {
		return "", err
	}
	return "", t.Empty(r.Context())
}

// pauseTopic is POST /topic/pause?topic=T: nothing flows into channels; publishing goes on.
func (s *Server) pauseTopic(r *http.Request) (string, error) { return s.setTopicPaused(r, true) }

// unpauseTopic is POST /topic/unpause?topic=T.
func (s *Server) unpauseTopic(r *http.Request) (string, error) { return s.setTopicPaused(r, false) }

func (s *Server) setTopicPaused(r *http.Request, paused bool) (string, error) {
	t, err := s.existingTopic(r)
	if err != nil {
		return "", err
	}
	return "", t.SetPaused(r.Context(), paused)
}
