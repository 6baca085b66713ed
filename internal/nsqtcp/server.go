package nsqtcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/quiet"
)

// ErrServerClosed is returned by Serve after Shutdown has begun.
var ErrServerClosed = errors.New("server closed")

// Server serves NSQ's TCP protocol. Its methods may be called from any goroutine.
type Server struct {
	options        Options // defaults applied
	limits         nsqwire.Limits
	identifyLimits nsqwire.IdentifyLimits
	backend        backend
	quiet          *quiet.Log // for what clients can cause
	inputs         largeInputs
	lone           lone
	pools          pools

	ctx    context.Context    // of all sessions
	cancel context.CancelFunc // ends them at once
	runs   sync.WaitGroup     // accepting and serving goroutines

	mu struct {
		sync.Mutex
		listeners map[net.Listener]struct{}
		sessions  map[*session]struct{}
		closing   bool
	}
}

// New makes a server for the broker, which stays the caller's to close, after Shutdown.
func New(b *broker.Broker, options Options) (*Server, error) {
	return newServer(realBackend{b}, options)
}

func newServer(b backend, options Options) (*Server, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("nsqtcp options: %w", err)
	}
	options.setDefaults()
	s := &Server{options: options, limits: options.limits(), identifyLimits: options.identifyLimits(), backend: b,
		quiet: quiet.New(options.Logger)}
	s.inputs.limit = options.InputBytes
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.listeners = make(map[net.Listener]struct{})
	s.mu.sessions = make(map[*session]struct{})
	return s, nil
}

// Serve accepts connections from ln until Shutdown, and closes ln. It always returns an error: ErrServerClosed after
// Shutdown, else why ln failed. Several listeners may be served at a time.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.enter(ln) {
		return ErrServerClosed
	}
	defer s.leave(ln)
	pause := time.Duration(0)
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.serveConn(conn)
		case s.closing():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default: // most likely no descriptor is free; one will be
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.quiet.Warn("accept", "cannot accept a connection; raise the limit of open files if this goes on",
				slog.Any("error", err), slog.Duration("pause", pause))
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		}
	}
}

// serveConn starts a session, unless there are too many.
func (s *Server) serveConn(conn net.Conn) {
	session := newSession(s, conn)
	s.mu.Lock()
	full := len(s.mu.sessions) >= s.options.MaxConnections
	if !full && !s.mu.closing {
		s.mu.sessions[session] = struct{}{}
		s.runs.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.runs.Done()
			defer s.forget(session)
			session.run(s.ctx)
		}()
		return
	}
	s.mu.Unlock()
	_ = conn.Close() // refused: nothing was promised
	if full {
		s.quiet.Warn("full", "refusing connections: too many; see --max-connections, and what the log said of it at the start",
			slog.Int("max_connections", s.options.MaxConnections))
	}
}

// Shutdown stops accepting and delivering, lets commands that were received be answered, and closes all connections. When
// the context ends first, connections are closed as they are, and its error is returned; then a goroutine that waits for the
// broker may outlive the call.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.mu.closing = true
	for ln := range s.mu.listeners {
		_ = ln.Close() // its Serve reports
	}
	s.mu.Unlock()
	for _, session := range s.list() {
		session.stop()
	}
	defer s.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.runs.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	left := s.list()
	for _, session := range left {
		_ = session.conn.Close() // whatever was under way has had its time
	}
	return fmt.Errorf("shut down with %d sessions left: %w", len(left), ctx.Err())
}

// Connections returns how many sessions there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.sessions)
}

// InputBytes returns how much of Options.InputBytes is taken: the part of the read buffers that is beyond 64 KiB each.
func (s *Server) InputBytes() int64 { return s.inputs.used.Load() }

// Producers describes the sessions that have published, in no order.
func (s *Server) Producers() []broker.ClientStats {
	var producers []broker.ClientStats
	for _, session := range s.list() {
		if session.stats.isProducer() {
			producers = append(producers, session.Stats())
		}
	}
	return producers
}

func (s *Server) list() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.mu.sessions))
	for session := range s.mu.sessions {
		list = append(list, session)
	}
	return list
}

func (s *Server) enter(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closing {
		return false
	}
	s.mu.listeners[ln] = struct{}{}
	s.runs.Add(1)
	return true
}

func (s *Server) leave(ln net.Listener) {
	s.mu.Lock()
	delete(s.mu.listeners, ln)
	s.mu.Unlock()
	s.runs.Done()
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.closing
}

func (s *Server) forget(session *session) {
	s.mu.Lock()
	delete(s.mu.sessions, session)
	s.mu.Unlock()
}
