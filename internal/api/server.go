package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/httpdoor"
)

// Options configure a Server.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// Cluster describes the cluster; nil on a node that is alone.
	Cluster func(ctx context.Context) Cluster
}

// Server answers /v1/. It is an http.Handler for another server to put in its place.
type Server struct {
	broker  *broker.Broker
	options Options
	door    httpdoor.Door
}

// New returns a Server over a broker.
func New(b *broker.Broker, options Options) *Server {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{broker: b, options: options}
	s.door = httpdoor.Door{Logger: options.Logger, Translate: translate, Routes: httpdoor.Routes{
		"/v1/cluster": httpdoor.Get(s.door.JSON(s.cluster)),
		"/v1/topics":  httpdoor.Post(s.door.JSON(s.createTopic)),
	}}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.door.ServeHTTP(w, r) }
