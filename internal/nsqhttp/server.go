package nsqhttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/httpdoor"
)

// Server answers nsqd's HTTP API.
type Server struct {
	broker  *broker.Broker
	options Options
	door    httpdoor.Door
	http    *http.Server
	closing atomic.Bool
	bodies  bodies
	submits sync.WaitGroup // publishes handed to the broker
}

// New returns a server that does not listen yet. Its metrics are registered with options.Registry.
func New(b *broker.Broker, options Options) (*Server, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options.setDefaults()
	s := &Server{broker: b, options: options}
	for _, c := range []prometheus.Collector{newCollector(b), bodiesGauge(&s.bodies)} {
		if err := options.Registry.Register(c); err != nil {
			return nil, err
		}
	}
	s.bodies.limit = options.BodyBytes
	s.door = httpdoor.Door{Routes: s.table(), Translate: translate, Logger: options.Logger}
	handler := http.Handler(&s.door)
	if options.V1 != nil {
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/") {
				options.V1.ServeHTTP(w, r)
				return
			}
			s.door.ServeHTTP(w, r)
		})
	}
	if options.Guard != nil {
		handler = options.Guard.Handler(handler, needs)
	}
	if options.TLSRequired {
		handler = s.requireTLS(handler)
	}
	s.http = httpdoor.NewServer(handler, options.Logger)
	return s, nil
}

// table lists all endpoints.
func (s *Server) table() httpdoor.Routes {
	get, post := httpdoor.Get, httpdoor.Post
	routes := httpdoor.Routes{
		"/ping":            get(s.ping),
		"/info":            get(s.door.JSON(s.info)),
		"/stats":           get(s.stats),
		"/pub":             post(s.door.Text(s.pub)),
		"/mpub":            post(s.door.Text(s.mpub)),
		"/topic/create":    post(s.door.Text(s.createTopic)),
		"/topic/delete":    post(s.door.Text(s.deleteTopic)),
		"/topic/empty":     post(s.door.Text(s.emptyTopic)),
		"/topic/pause":     post(s.door.Text(s.pauseTopic)),
		"/topic/unpause":   post(s.door.Text(s.unpauseTopic)),
		"/channel/create":  post(s.door.Text(s.createChannel)),
		"/channel/delete":  post(s.door.Text(s.deleteChannel)),
		"/channel/empty":   post(s.door.Text(s.emptyChannel)),
		"/channel/pause":   post(s.door.Text(s.pauseChannel)),
		"/channel/unpause": post(s.door.Text(s.unpauseChannel)),
		"/config/:":        {"GET": s.getConfig, "PUT": s.putConfig},
		"/metrics":         get(s.metrics()),
	}
	for path, handlers := range debugTable() {
		routes[path] = handlers
	}
	return routes
}

// Serve answers requests until Close, then returns nil. It takes over the listener.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(httpdoor.Bound(ln, s.options.MaxConnections))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close refuses new requests and waits for those under way; when ctx ends first it breaks them off.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Store(true)
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	s.submits.Wait()
	return err
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.door.ServeHTTP(w, r) }
