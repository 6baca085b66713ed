package admin

import (
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/admin/access"
	"github.com/weirmq/weir/internal/admin/live"
)

// keepAwake is how often a stream says something although there is nothing to say, so that proxies keep it open, and how often it is looked
// whether whoever reads it may still do so.
const keepAwake = 15 * time.Second

// stream is GET /api/v1/stream: server-sent events of what is watched.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	began := who(r)
	if !began.LoggedIn() {
		s.fail(w, errLogin)
		return
	}
	watching, err := s.hub.Subscribe(watcher(began, r), slices.Clone(r.URL.Query()["watch"]))
	switch err {
	case nil:
	case live.ErrTooMany:
		s.fail(w, &ownError{http.StatusServiceUnavailable, "TOO_MANY_STREAMS", err.Error()})
		return
	default:
		s.fail(w, &ownError{http.StatusBadRequest, "INVALID_WATCH", err.Error()})
		return
	}
	defer watching.Close()
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the request is read; the answer has no end
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	w.Write(live.Event("hello", struct {
		Version  string `json:"version"`
		Interval int64  `json:"interval_ms"`
		Time     int64  `json:"time_ms"`
	}{s.options.Version, s.hub.Interval().Milliseconds(), time.Now().UnixMilli()}))
	s.follow(w, r, out, watching, began)
}

// watcher names who watches: a user, or where nobody logs in an address.
func watcher(who access.Who, r *http.Request) string {
	if who.User != "" {
		return "user " + who.User
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return "address " + host
}

// follow writes events until the client goes, may not look any more, or the server stops.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, out *http.ResponseController, watching *live.Stream, began access.Who) {
	awake := time.NewTicker(keepAwake)
	defer awake.Stop()
	bye := func(reason string) {
		w.Write(live.Event("bye", struct {
			Reason string `json:"reason"`
		}{reason}))
		out.Flush()
	}
	for {
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.stopped.Done():
			bye("the server stops")
			return
		case <-awake.C:
			if now, err := s.guard.Identify(r); err != nil || now.User != began.User || now.Role != began.Role {
				bye("the session has ended")
				return
			}
			w.Write([]byte(":\n\n"))
		case <-watching.More():
			for _, event := range watching.Next() {
				if _, err := w.Write(event); err != nil {
					return
				}
			}
		}
	}
}

// overview is GET /api/v1/overview.
func (s *Server) overview(r *http.Request) (any, error) {
	p, err := s.picture(r)
	if err != nil {
		return nil, err
	}
	return p.Overview(), nil
}

// topicTable is GET /api/v1/topics.
func (s *Server) topicTable(r *http.Request) (any, error) {
	p, err := s.picture(r)
	if err != nil {
		return nil, err
	}
	return p.TopicTable(), nil
}

// nodeTable is GET /api/v1/nodes.
func (s *Server) nodeTable(r *http.Request) (any, error) {
	p, err := s.picture(r)
	if err != nil {
		return nil, err
	}
	return p.NodeTable(), nil
}

// cluster is GET /api/v1/cluster[?topic=T].
func (s *Server) cluster(r *http.Request) (any, error) {
	e, err := s.hub.Cluster(r.Context(), r.URL.Query().Get("topic"))
	if err != nil {
		return nil, errTooSlow
	}
	return e, nil
}

var errTooSlow = &ownError{http.StatusServiceUnavailable, "TOO_SLOW", "the nodes did not answer in time"}

func (s *Server) picture(r *http.Request) (*live.Picture, error) {
	p, err := s.hub.Picture(r.Context())
	if err != nil {
		return nil, errTooSlow
	}
	return p, nil
}
