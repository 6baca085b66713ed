package lookupd

import (
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/lookup/registry"
	"github.com/weirmq/weir/internal/nsqwire"
)

// door lists all endpoints.
func (s *Server) door() *httpdoor.Door {
	d := &httpdoor.Door{Logger: s.options.Logger, Translate: translate}
	get, post := httpdoor.Get, httpdoor.Post
	d.Routes = httpdoor.Routes{
		"/ping":            get(ping),
		"/info":            get(d.JSON(s.info)),
		"/topics":          get(d.JSON(s.topics)),
		"/channels":        get(d.JSON(s.channels)),
		"/lookup":          get(d.JSON(s.lookup)),
		"/nodes":           get(d.JSON(s.nodes)),
		"/debug":           get(d.JSON(s.debug)),
		"/topic/create":    post(d.Text(s.createTopic)),
		"/topic/delete":    post(d.Text(s.deleteTopic)),
		"/topic/tombstone": post(d.Text(s.tombstone)),
		"/channel/create":  post(d.Text(s.createChannel)),
		"/channel/delete":  post(d.Text(s.deleteChannel)),

		"/debug/pprof":         get(pprof.Index),
		"/debug/pprof/cmdline": get(httpdoor.Cmdline),
		"/debug/pprof/symbol":  {http.MethodGet: pprof.Symbol, http.MethodPost: pprof.Symbol},
		"/debug/pprof/profile": get(pprof.Profile),
	}
	for _, profile := range []string{"heap", "goroutine", "block", "threadcreate"} {
		d.Routes["/debug/pprof/"+profile] = get(pprof.Handler(profile).ServeHTTP)
	}
	return d
}

// guarded puts the guard before the endpoints, if there is one.
func (s *Server) guarded(door http.Handler) http.Handler {
	if s.options.Guard == nil {
		return door
	}
	return s.options.Guard.Handler(door, needs)
}

// needs says who may make a request: consumers, which have no tokens, look things up.
func needs(r *http.Request) auth.Need {
	if r.Method != http.MethodGet || strings.HasPrefix(r.URL.Path, "/debug") {
		return auth.Operator()
	}
	return auth.Nothing()
}

// refuse returns a 400.
func refuse(word string) error { return httpdoor.NewError(http.StatusBadRequest, word) }

// translate finds the answer for an error of the registry.
func translate(err error) *httpdoor.Error {
	if err == registry.ErrFull {
		return httpdoor.NewError(http.StatusServiceUnavailable, "TOO_MANY_REGISTRATIONS")
	}
	return nil
}

// topicOf returns the parameter topic, which must be there; its form is not looked at.
func topicOf(r *http.Request) (string, url.Values, error) {
	params, err := httpdoor.Query(r)
	if err == nil && !params.Has("topic") {
		err = refuse("MISSING_ARG_TOPIC")
	}
	return params.Get("topic"), params, err
}

// createTopic is POST /topic/create?topic=T. A known topic is no error.
func (s *Server) createTopic(r *http.Request) (string, error) {
	topic, _, err := topicOf(r)
	if err == nil && !nsqwire.ValidName(topic) {
		err = refuse("INVALID_ARG_TOPIC")
	}
	if err == nil {
		s.ask(func(reg *registry.Registry, _ time.Time) { err = reg.CreateTopic(topic) })
	}
	return "", err
}

// deleteTopic is POST /topic/delete?topic=T: with its channels. An unknown topic is no error.
func (s *Server) deleteTopic(r *http.Request) (string, error) {
	topic, _, err := topicOf(r)
	if err == nil {
		s.ask(func(reg *registry.Registry, _ time.Time) { reg.DeleteTopic(topic) })
	}
	return "", err
}

// tombstone is POST /topic/tombstone?topic=T&node=HOST:HTTPPORT. That nobody matches is no error.
func (s *Server) tombstone(r *http.Request) (string, error) {
	topic, params, err := topicOf(r)
	if err == nil && !params.Has("node") {
		err = refuse("MISSING_ARG_NODE")
	}
	if err == nil {
		s.ask(func(reg *registry.Registry, now time.Time) { reg.Tombstone(topic, params.Get("node"), now) })
	}
	return "", err
}

// createChannel is POST /channel/create?topic=T&channel=C. It makes the topic known, too.
func (s *Server) createChannel(r *http.Request) (string, error) {
	topic, channel, err := topicAndChannel(r)
	if err == nil {
		s.ask(func(reg *registry.Registry, _ time.Time) { err = reg.CreateChannel(topic, channel) })
	}
	return "", err
}

// deleteChannel is POST /channel/delete?topic=T&channel=C.
func (s *Server) deleteChannel(r *http.Request) (string, error) {
	topic, channel, err := topicAndChannel(r)
	if err != nil {
		return "", err
	}
	known := false
	s.ask(func(reg *registry.Registry, _ time.Time) { known = reg.DeleteChannel(topic, channel) })
	if !known {
		return "", httpdoor.NewError(http.StatusNotFound, "CHANNEL_NOT_FOUND")
	}
	return "", nil
}

// topicAndChannel returns both parameters, which must be valid names.
func topicAndChannel(r *http.Request) (topic, channel string, err error) {
	topic, params, err := topicOf(r)
	channel = params.Get("channel")
	switch {
	case err != nil:
	case !nsqwire.ValidName(topic):
		err = refuse("INVALID_ARG_TOPIC")
	case !params.Has("channel"):
		err = refuse("MISSING_ARG_CHANNEL")
	case !nsqwire.ValidName(channel):
		err = refuse("INVALID_ARG_CHANNEL")
	}
	return topic, channel, err
}
