package lookupd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// tlsHandshake is the first byte of a TLS client. Neither the lookup protocol nor HTTP begins so.
const tlsHandshake = 0x16

// errNoTLS ends a connection in the clear where TLS is required.
var errNoTLS = errors.New("a connection without TLS, which is required")

// eitherListener accepts connections that may begin with a TLS handshake, and looks at their first byte when they are read.
type eitherListener struct {
	net.Listener
	config   *tls.Config
	required bool
}

// withTLS makes a listener take TLS too, or only; with a nil config it is the listener as it is.
func withTLS(ln net.Listener, config *tls.Config, required bool) net.Listener {
	if config == nil {
		return ln
	}
	return &eitherListener{ln, config, required}
}

// Accept implements net.Listener.
func (l *eitherListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &eitherConn{Conn: conn, in: l}, nil
}

// eitherConn is a connection that becomes a TLS one if its first byte says so.
type eitherConn struct {
	net.Conn
	in     *eitherListener
	once   sync.Once
	spoken atomic.Pointer[net.Conn] // what is spoken on the connection; nil until its first byte has come
	err    error                    // why nothing is spoken; read after once
}

// speak waits for the first byte.
func (c *eitherConn) speak() (net.Conn, error) {
	c.once.Do(func() {
		first := make([]byte, 1)
		if _, c.err = io.ReadFull(c.Conn, first); c.err != nil {
			return
		}
		var spoken net.Conn = &prefixedConn{c.Conn, io.MultiReader(bytes.NewReader(first), c.Conn)}
		switch {
		case first[0] == tlsHandshake:
			spoken = tls.Server(spoken, c.in.config)
		case c.in.required:
			c.err = errNoTLS
			return
		}
		c.spoken.Store(&spoken)
	})
	if c.err != nil {
		return nil, c.err
	}
	return *c.spoken.Load(), nil
}

// Read implements net.Conn.
func (c *eitherConn) Read(p []byte) (int, error) {
	conn, err := c.speak()
	if err != nil {
		return 0, err
	}
	return conn.Read(p)
}

// Write implements net.Conn. The other side speaks first: before it does, this waits.
func (c *eitherConn) Write(p []byte) (int, error) {
	conn, err := c.speak()
	if err != nil {
		return 0, err
	}
	return conn.Write(p)
}

// Close implements net.Conn.
func (c *eitherConn) Close() error {
	if conn := c.spoken.Load(); conn != nil {
		return (*conn).Close()
	}
	return c.Conn.Close()
}

// CloseWrite ends our side.
func (c *eitherConn) CloseWrite() error {
	conn, err := c.speak()
	if err != nil {
		return err
	}
	return conn.(interface{ CloseWrite() error }).CloseWrite() // a *tls.Conn or a prefixedConn
}

// prefixedConn is a connection of which something has been read.
type prefixedConn struct {
	net.Conn
	from io.Reader
}

// Read implements net.Conn.
func (c *prefixedConn) Read(p []byte) (int, error) { return c.from.Read(p) }

// CloseWrite ends our side, where the connection can.
func (c *prefixedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
