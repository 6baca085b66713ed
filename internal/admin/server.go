package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/admin/access"
	"github.com/weirmq/weir/internal/admin/live"
	"github.com/weirmq/weir/internal/admin/upstream"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/quiet"
)

// maxRequestBytes bounds the body of a request: a message and the JSON around it.
const maxRequestBytes = 48 << 20

// contentSecurityPolicy allows the page its own files and its own server, and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Server serves the admin page.
type Server struct {
	options  Options
	lookupds atomic.Pointer[[]string]
	client   *upstream.Client // for nodes and lookup services
	outside  *upstream.Client // for graphite, which gets no token
	guard    *access.Guard
	hub      *live.Hub
	assets   *assets
	door     httpdoor.Door
	mux      httpdoor.Mux
	answers  http.Handler // mux, compressed
	http     *http.Server
	quiet    *quiet.Log // for what strangers can cause
	graphite *url.URL

	stop    context.CancelFunc // ends what runs beside requests
	stopped context.Context
	runs    sync.WaitGroup
	notices chan notice
}

// New returns a server that does not listen yet. It must be closed.
func New(options Options) (*Server, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options.setDefaults()
	s := &Server{options: options, quiet: quiet.New(options.Logger)}
	lookupds := append([]string{}, options.Lookupds...)
	s.lookupds.Store(&lookupds)
	asking := upstream.Options{
		ConnectTimeout: options.ConnectTimeout, RequestTimeout: options.RequestTimeout, DialTLS: options.DialTLS,
		UserAgent: "nsqadmin/" + options.Version,
	}
	s.outside = upstream.NewClient(asking)
	asking.Token, asking.TokenTo = options.NodeToken, options.trusts
	s.client = upstream.NewClient(asking)
	s.assets = newAssets(options.BasePath, options.DevStaticDir)
	hosts := append([]string{}, options.Hosts...)
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	s.guard = access.NewGuard(access.Options{
		Tokens: options.Tokens, Header: options.ACLHeader, AdminUsers: options.AdminUsers, Bodies: options.Bodies, Hosts: hosts, CookiePath: s.assets.base,
	})
	s.hub = live.NewHub(s.client, s.places, options.Interval)
	s.graphite, _ = url.Parse(options.GraphiteURL) // Validate looked at it
	s.door.Logger = options.Logger
	s.routes()
	s.answers = httpdoor.Compressed(&s.mux)
	s.http = httpdoor.NewServer(s, options.Logger)
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.startNotices()
	return s, nil
}

// routes says what is where.
func (s *Server) routes() {
	s.mux.Fail = func(w http.ResponseWriter, err *httpdoor.Error) { s.door.Fail(w, err) }
	get := httpdoor.Get
	handle := func(pattern string, m httpdoor.Methods) { s.mux.Handle(path.Join(s.options.BasePath, pattern), m) }

	handle("/ping", get(s.door.Text(func(*http.Request) (string, error) { return "OK", nil })))
	for _, pattern := range []string{"/", "/topics", "/topics/{topic}", "/topics/{topic}/{channel}", "/nodes", "/nodes/{node}", "/counter",
		"/lookup", "/cluster", "/login"} {
		handle(pattern, get(s.assets.servePage))
	}
	if s.assets.base != "/" { // the base path with a slash, too
		s.mux.Handle(s.assets.base+"", get(s.assets.servePage))
	}
	handle("/static/{file...}", get(s.file(s.assets.serveFile)))
	handle("/favicon.ico", get(s.file(s.assets.favicon)))

	handle("/api/topics", httpdoor.Methods{"GET": s.nsq(s.topics), "POST": s.nsq(s.acting(s.createTopic))})
	handle("/api/topics/{topic}", httpdoor.Methods{"GET": s.nsq(s.topic), "POST": s.nsq(s.acting(s.actOnTopic)), "DELETE": s.nsq(s.acting(s.deleteTopic))})
	handle("/api/topics/{topic}/{channel}", httpdoor.Methods{"GET": s.nsq(s.channel), "POST": s.nsq(s.acting(s.actOnTopic)), "DELETE": s.nsq(s.acting(s.deleteTopic))})
	handle("/api/nodes", get(s.nsq(s.nodes)))
	handle("/api/nodes/{node}", httpdoor.Methods{"GET": s.nsq(s.node), "DELETE": s.nsq(s.acting(s.tombstone))})
	handle("/api/counter", get(s.nsq(s.counter)))
	handle("/api/graphite", get(s.nsq(s.graphiteRate)))
	if s.options.ProxyGraphite {
		handle("/render", get(s.proxyGraphite()))
	}
	handle("/config/{option}", httpdoor.Methods{"GET": s.config, "PUT": s.config})

	handle("/api/v1/session", get(s.own(s.session)))
	handle("/api/v1/login", httpdoor.Post(s.login))
	handle("/api/v1/logout", httpdoor.Post(s.logout))
	handle("/api/v1/stream", get(s.stream))
	handle("/api/v1/overview", get(s.own(s.seeing(s.overview))))
	handle("/api/v1/topics", get(s.own(s.seeing(s.topicTable))))
	handle("/api/v1/nodes", get(s.own(s.seeing(s.nodeTable))))
	handle("/api/v1/cluster", get(s.own(s.seeing(s.cluster))))
	handle("/api/v1/history", get(s.own(s.seeing(s.history))))
	handle("/api/v1/lookup", get(s.own(s.seeing(s.lookup))))
	handle("/api/v1/publish", httpdoor.Post(s.own(s.acting(s.publish))))
	handle("/api/v1/nodes/{node}/{path...}", httpdoor.Methods{"GET": s.relay, "POST": s.relay})
}

// Serve answers requests until Close, then returns nil. It takes over the listener.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(httpdoor.Bound(ln, s.options.MaxConnections))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends live streams, refuses new requests and waits for those under way; when ctx ends first it breaks them off.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	s.runs.Wait()
	s.hub.Wait()
	s.client.Close()
	s.outside.Close()
	return err
}

// ServeHTTP finds out who asks, and refuses what he may not do at all, before it looks at what he asks for.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.options.Logger.Error("request failed by a bug; please report it", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			s.door.Fail(w, httpdoor.NewError(http.StatusInternalServerError, "INTERNAL_ERROR"))
		}
	}()
	setSecurityHeaders(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxRequestBytes)
	who, err := s.guard.Identify(r)
	if err == nil {
		err = s.guard.Check(r, &who)
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.answers.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, who)))
}

// whoKey finds in a request's context who asks.
type whoKey struct{}

// who tells who asks.
func who(r *http.Request) access.Who {
	w, _ := r.Context().Value(whoKey{}).(access.Who)
	return w
}

func setSecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// Refusals that are not the guard's.
var (
	errLogin     = &ownError{http.StatusUnauthorized, "LOGIN_REQUIRED", "log in first: a session cookie, or Authorization: Bearer TOKEN"}
	errForbidden = &ownError{http.StatusForbidden, "FORBIDDEN", "only administrators may do this"}
	errNoBodies  = &ownError{http.StatusForbidden, "BODIES_FORBIDDEN", "you may not look at messages; see --message-bodies"}
)

// ownError is an answer other than 200 of Weir's own API: a status, a word that programs compare, a sentence that people read. nsqadmin's
// API answers with the word alone.
type ownError struct {
	status       int
	word, detail string
}

func (e *ownError) Error() string { return e.word + ": " + e.detail }

// refuse answers what the guard refused. Both APIs' fields are there: whoever asked reads the one he knows.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	status, word := http.StatusForbidden, "FORBIDDEN"
	switch {
	case errors.Is(err, access.ErrBadToken):
		word = "BAD_TOKEN"
	case errors.Is(err, access.ErrTooMany):
		status, word = http.StatusTooManyRequests, "TOO_MANY_ATTEMPTS"
	case errors.Is(err, access.ErrForeignHost):
		word = "FOREIGN_HOST"
	case errors.Is(err, access.ErrCrossOrigin):
		word = "CROSS_ORIGIN"
	case errors.Is(err, access.ErrCSRF):
		word = "CSRF"
	}
	s.fail(w, &ownError{status, word, err.Error()})
}

// fail answers with an error of Weir's own API.
func (s *Server) fail(w http.ResponseWriter, err error) {
	var own *ownError
	var door *httpdoor.Error
	switch {
	case errors.As(err, &own):
	case errors.As(err, &door):
		own = &ownError{door.Status, door.Word, err.Error()}
	default:
		s.options.Logger.Error("request failed", slog.Any("error", err))
		own = &ownError{http.StatusInternalServerError, "INTERNAL_ERROR", "see the log of the admin page"}
	}
	writeJSON(w, own.status, struct {
		Error  string `json:"error"`
		Detail string `json:"detail"`
	}{own.word, own.detail})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // our own types: ServeHTTP reports it
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body)
}

// nsq makes a handler of nsqadmin's API: an answer to be encoded, or an error {"message":WORD}. Who is not logged in gets neither.
func (s *Server) nsq(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := any(nil), error(errLogin)
		if asking := who(r); asking.LoggedIn() {
			ctx, cancel := context.WithTimeout(r.Context(), s.patience())
			defer cancel()
			value, err = answer(r.WithContext(ctx))
		}
		if own := new(ownError); errors.As(err, &own) {
			err = httpdoor.NewError(own.status, own.word)
		}
		if err != nil {
			s.door.Fail(w, err)
			return
		}
		s.door.WriteJSON(w, http.StatusOK, value)
	}
}

// own makes a handler of Weir's own API.
func (s *Server) own(answer func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.patience())
		defer cancel()
		value, err := answer(r.WithContext(ctx))
		if err != nil {
			s.fail(w, err)
			return
		}
		writeJSON(w, http.StatusOK, value)
	}
}

// patience bounds the whole of a request, which may take several rounds of asking.
func (s *Server) patience() time.Duration { return 3 * s.options.RequestTimeout }

// acting refuses who may not act.
func (s *Server) acting(answer func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		asking := who(r)
		if !asking.LoggedIn() {
			return nil, errLogin
		}
		if asking.Role != access.Admin {
			s.options.Logger.Warn("admin action refused", audit(r)...)
			return nil, errForbidden
		}
		return answer(r)
	}
}

// seeing refuses who is not logged in.
func (s *Server) seeing(answer func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if asking := who(r); !asking.LoggedIn() {
			return nil, errLogin
		}
		return answer(r)
	}
}

// file makes a handler of one that reports false for what is not there.
func (s *Server) file(serve func(http.ResponseWriter, *http.Request) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !serve(w, r) {
			s.door.Fail(w, httpdoor.NewError(http.StatusNotFound, "NOT_FOUND"))
		}
	}
}

// places are the lookup services and nodes to ask.
func (s *Server) places() upstream.Places {
	return upstream.Places{Lookupds: *s.lookupds.Load(), Nodes: s.options.Nodes}
}

// decode reads a JSON body; unknown fields are an error only where strict.
func decode(r *http.Request, into any, strict bool) error {
	d := json.NewDecoder(r.Body)
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
