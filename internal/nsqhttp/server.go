package nsqhttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// How long a client may take. A publish may wait for the disk, so the whole of a request has no limit, but its reading has and
// each write of its answer.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Server answers nsqd's HTTP API.
type Server struct {
	broker  *broker.Broker
	options Options
	routes  map[string]map[string]http.HandlerFunc // path → method → handler
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
	if err := options.Registry.Register(newCollector(b)); err != nil {
		return nil, err
	}
	s.bodies.limit = options.BodyBytes
	s.routes = s.table()
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(options.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// table lists all endpoints.
func (s *Server) table() map[string]map[string]http.HandlerFunc {
	get := func(h http.HandlerFunc) map[string]http.HandlerFunc { return map[string]http.HandlerFunc{"GET": h} }
	post := func(h http.HandlerFunc) map[string]http.HandlerFunc { return map[string]http.HandlerFunc{"POST": h} }
	routes := map[string]map[string]http.HandlerFunc{
		"/ping":            get(s.ping),
		"/info":            get(s.json(s.info)),
		"/stats":           get(s.stats),
		"/pub":             post(s.text(s.pub)),
		"/mpub":            post(s.text(s.mpub)),
		"/topic/create":    post(s.text(s.createTopic)),
		"/topic/delete":    post(s.text(s.deleteTopic)),
		"/topic/empty":     post(s.text(s.emptyTopic)),
		"/topic/pause":     post(s.text(s.pauseTopic)),
		"/topic/unpause":   post(s.text(s.unpauseTopic)),
		"/channel/create":  post(s.text(s.createChannel)),
		"/channel/delete":  post(s.text(s.deleteChannel)),
		"/channel/empty":   post(s.text(s.emptyChannel)),
		"/channel/pause":   post(s.text(s.pauseChannel)),
		"/channel/unpause": post(s.text(s.unpauseChannel)),
		"/metrics":         get(s.metrics()),
	}
	for path, handlers := range debugTable() {
		routes[path] = handlers
	}
	return routes
}

// Serve answers requests until Close, then returns nil. It takes over the listener.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(boundListener(ln, s.options.MaxConnections))
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

// ServeHTTP finds the endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.options.Logger.Error("request failed by a bug; please report it", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			s.writeError(w, &apiError{http.StatusInternalServerError, "INTERNAL_ERROR"})
		}
	}()
	handlers := s.routes[r.URL.Path]
	if handlers == nil {
		s.redirectOrRefuse(w, r)
		return
	}
	handler := handlers[r.Method]
	if handler != nil {
		handler(w, r)
		return
	}
	methods := []string{"OPTIONS"}
	for m := range handlers {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	w.Header().Set("Allow", strings.Join(methods, ", "))
	if r.Method != http.MethodOptions {
		s.writeError(w, &apiError{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"})
	}
}

// redirectOrRefuse forgives a slash too many or too few at the end of the path.
func (s *Server) redirectOrRefuse(w http.ResponseWriter, r *http.Request) {
	other := r.URL.Path + "/"
	if strings.HasSuffix(r.URL.Path, "/") {
		other = strings.TrimSuffix(r.URL.Path, "/")
	}
	handlers := s.routes[other]
	if handlers[r.Method] == nil {
		s.writeError(w, &apiError{http.StatusNotFound, "NOT_FOUND"})
		return
	}
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	target := *r.URL
	target.Path = other
	http.Redirect(w, r, target.RequestURI(), status)
}

// text makes a handler of a function that answers with a text, empty or not, or an error.
func (s *Server) text(answer func(*http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := answer(r)
		if err != nil {
			s.writeError(w, err)
			return
		}
		w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
		if text != "" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, text)
	}
}

// json makes a handler of a function that answers with a value to be encoded, or an error.
func (s *Server) json(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := answer(r)
		if err != nil {
			s.writeError(w, err)
			return
		}
		s.writeJSON(w, http.StatusOK, value)
	}
}

func (s *Server) writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types: ServeHTTP reports it
	}
	w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}
