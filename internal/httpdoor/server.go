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
// with a listener from Bound.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
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
