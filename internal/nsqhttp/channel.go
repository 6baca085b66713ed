package nsqhttp

import "net/http"

// createChannel is POST /channel/create?topic=T&channel=C. It does not create the topic. An existing channel is no error.
func (s *Server) createChannel(r *http.Request) (string, error) {
	t, name, err := s.topicAndChannel(r)
	if err != nil {
		return "", err
	}
	_, err = t.CreateChannel(r.Context(), name)
	return "", err
}

// deleteChannel is POST /channel/delete?topic=T&channel=C: its consumers are disconnected.
func (s *Server) deleteChannel(r *http.Request) (string, error) {
	t, name, err := s.topicAndChannel(r)
	if err != nil {
		return "", err
	}
	return "", t.DeleteChannel(r.Context(), name) // which knows what another node has deleted just now
}

// emptyChannel is POST /channel/empty?topic=T&channel=C: waiting, deferred and in flight.
func (s *Server) emptyChannel(r *http.Request) (string, error) {
	ch, err := s.existingChannel(r)
	if err != nil {
		return "", err
	}
	return "", ch.Empty(r.Context())
}

// pauseChannel is POST /channel/pause?topic=T&channel=C: nothing more is delivered.
func (s *Server) pauseChannel(r *http.Request) (string, error) { return s.setChannelPaused(r, true) }

// unpauseChannel is POST /channel/unpause?topic=T&channel=C.
func (s *Server) unpauseChannel(r *http.Request) (string, error) { return s.setChannelPaused(r, false) }

func (s *Server) setChannelPaused(r *http.Request, paused bool) (string, error) {
	ch, err := s.existingChannel(r)
	if err != nil {
		return "", err
	}
	return "", ch.SetPaused(r.Context(), paused)
}
