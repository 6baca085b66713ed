package lookupd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/lookup/registry"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
	"github.com/weirmq/weir/internal/quiet"
)

// Server is one lookup service. Its methods may be called from any goroutine.
//
// Concurrency: mu guards the registry and is held for computation only.
type Server struct {
	options Options
	service lookupwire.Service
	tcpLn   net.Listener
	httpLn  net.Listener
	http    *http.Server
	quiet   *quiet.Log // for what clients can cause
	brokers *quiet.Log // for who comes and goes
	serving sync.WaitGroup
	failedC chan error // a listener that failed by itself

	mu struct {
		sync.Mutex
		registry *registry.Registry
		sessions map[*session]struct{}
		closing  bool
	}
}

// Start serves the two listeners, which it takes over, until Close. Error: of the options.
func Start(tcpLn, httpLn net.Listener, options Options) (*Server, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("lookup service: %w", err)
	}
	options.setDefaults()
	tcpLn, httpLn = withTLS(tcpLn, options.TLS, options.TLSRequired), withTLS(httpLn, options.TLS, options.TLSRequired)
	s := &Server{options: options, tcpLn: tcpLn, httpLn: httpLn, failedC: make(chan error, 2),
		quiet: quiet.New(options.Logger), brokers: quiet.New(options.Logger)}
	s.service = lookupwire.Service{
		BroadcastAddress: options.BroadcastAddress, Hostname: options.Hostname, Version: options.Version,
		TCPPort: port(tcpLn), HTTPPort: port(httpLn),
	}
	s.mu.registry = registry.New(registry.Options{
		InactiveTimeout: options.InactiveProducerTimeout, TombstoneLifetime: options.TombstoneLifetime, MaxEntries: options.MaxRegistrations,
	})
	s.mu.sessions = make(map[*session]struct{})
	s.http = httpdoor.NewServer(s.guarded(s.door()), options.Logger)
	s.serving.Go(func() { s.accept() })
	s.serving.Go(func() {
		if err := s.http.Serve(httpdoor.Bound(httpLn, options.MaxConnections)); !errors.Is(err, http.ErrServerClosed) {
			s.failedC <- fmt.Errorf("lookup service, HTTP: %w", err)
		}
	})
	return s, nil
}

// Failed delivers why the service does not serve any more by itself. It is closed by Close.
func (s *Server) Failed() <-chan error { return s.failedC }

// TCPAddr returns where brokers register.
func (s *Server) TCPAddr() string { return s.tcpLn.Addr().String() }

// HTTPAddr returns where consumers ask.
func (s *Server) HTTPAddr() string { return s.httpLn.Addr().String() }

// Close ends all connections and waits for their goroutines. A second call does no harm. HTTP requests under way are answered until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.mu.closing
	s.mu.closing = true
	sessions := slices.Collect(maps.Keys(s.mu.sessions))
	s.mu.Unlock()
	for _, session := range sessions {
		session.conn.Close()
	}
	s.tcpLn.Close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	s.serving.Wait()
	if first {
		close(s.failedC)
	}
	return err
}

// acceptPause is how long nothing is accepted after a failure, most likely for want of descriptors.
const acceptPause = 50 * time.Millisecond

// accept begins sessions until the listener is closed.
func (s *Server) accept() {
	for {
		conn, err := s.tcpLn.Accept()
		switch {
		case err == nil:
			s.begin(conn)
		case errors.Is(err, net.ErrClosed):
			if !s.closing() {
				s.failedC <- fmt.Errorf("lookup service, TCP: %w", err)
			}
			return
		default:
			s.quiet.Warn("accept", "cannot accept a connection; raise the limit of open files if this goes on", slog.Any("error", err))
			time.Sleep(acceptPause)
		}
	}
}

// begin starts a session, unless there are too many.
func (s *Server) begin(conn net.Conn) {
	session := &session{server: s, conn: conn, id: registry.PeerID(conn.RemoteAddr().String())}
	s.mu.Lock()
	full := len(s.mu.sessions) >= s.options.MaxConnections
	if full || s.mu.closing {
		s.mu.Unlock()
		conn.Close()
		if full {
			s.quiet.Warn("full", "connection of a broker refused: too many", slog.String("remote", string(session.id)),
				slog.Int("max_connections", s.options.MaxConnections))
		}
		return
	}
	s.mu.sessions[session] = struct{}{}
	s.mu.Unlock()
	s.serving.Go(func() {
		session.run()
		s.mu.Lock()
		delete(s.mu.sessions, session)
		s.mu.Unlock()
	})
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.closing
}

// ask calls f with the registry locked; f must neither block nor keep it.
func (s *Server) ask(f func(r *registry.Registry, now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.mu.registry, time.Now())
}

// port returns a listener's port.
func port(ln net.Listener) int {
	_, text, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(text)
	return n
}
