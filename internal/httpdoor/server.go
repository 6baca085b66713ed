package httpdoor

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long a client may take, and how much it may say, by default: the whole of a request has no limit, but its reading has, and each
// write of its answer.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// NewServer returns a server for a handler that bounds how long its clients take. What net/http has to say is logged at debug. Serve it
// with a listener from Bound. Its Shutdown does not wait for connections on which no request has begun.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	var unused unusedConns
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnState: unused.note,
	}
	server.RegisterOnShutdown(unused.close)
	return server
}

// unusedConns are connections that were opened and have brought no request yet. net/http's Shutdown waits for them, five seconds long, as if
// they had; clients that keep connections open leave such ones behind.
type unusedConns struct {
	mu struct {
		sync.Mutex
		conns   map[net.Conn]struct{}
		closing bool
	}
}

// note is http.Server.ConnState.
func (u *unusedConns) note(conn net.Conn, state http.ConnState) {
	if !u.keep(conn, state == http.StateNew) {
		_ = conn.Close() // accepted just before the listener was closed
	}
}

// keep remembers an unused connection, forgets one that is not, and reports whether it may stay open.
func (u *unusedConns) keep(conn net.Conn, unused bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case !unused:
		delete(u.mu.conns, conn)
	case u.mu.closing:
		return false
	default:
		if u.mu.conns == nil {
			u.mu.conns = make(map[net.Conn]struct{})
		}
		u.mu.conns[conn] = struct{}{}
	}
	return true
}

// close closes them, and those that still come.
func (u *unusedConns) close() {
	u.mu.Lock()
	u.mu.closing = true
	conns := u.mu.conns
	u.mu.conns = nil
	u.mu.Unlock()
	for conn := range conns {
		_ = conn.Close() // nothing was said on it
	}
}

// Bound returns a listener that accepts a connection only when fewer than most are open; further ones wait in the system's queue,
// which is bounded too. A client that does not take what it asked for is broken off.
func Bound(ln net.Listener, most int) net.Listener {
	return &boundedListener{Listener: ln, placeC: make(chan struct{}, most), doneC: make(chan struct{})}
}

type boundedListener struct {
	net.Listener
	placeC chan struct{} // holds one for each open connection
	doneC  chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.placeC <- struct{}{}:
	case <-l.doneC:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.placeC
		return nil, err
	}
	return &boundedConn{Conn: c, in: l}, nil
}

// Close implements net.Listener.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.doneC) })
	return l.Listener.Close()
}

// boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	in   *boundedListener
	once sync.Once
}

// Write implements net.Conn. The limit is one of each write, not of a request.
func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.in.placeC })
	return err
}
