package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// errRefused means that a node answered and does not want this one, or is not the one that was looked for.
var errRefused = errors.New("refused")

// dial opens a connection to a node and exchanges hellos; the life is the node's. The connection is tracked: the caller releases it.
func (t *Transport) dial(ctx context.Context, to catalog.NodeID, lane Lane, address string) (net.Conn, Life, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.Limits.DialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAlive: -1} // pings do that
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, Life{}, err
	}
	if t.opts.TLS != nil {
		conn = tls.Client(conn, t.clientTLS(address))
	}
	if !t.track(conn) {
		return nil, Life{}, net.ErrClosed
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) // breaks what is under way
	life, err := t.greet(conn, to, lane)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		t.release(conn)
		return nil, Life{}, err
	}
	return conn, life, nil
}

// clientTLS is the configuration to dial with. Where certificates name no host (secret.Key) the configuration has a server name.
func (t *Transport) clientTLS(address string) *tls.Config {
	if t.opts.TLS.ServerName != "" {
		return t.opts.TLS
	}
	c := t.opts.TLS.Clone()
	c.ServerName, _, _ = net.SplitHostPort(address)
	return c
}

// greet says hello and judges the answer.
func (t *Transport) greet(conn net.Conn, to catalog.NodeID, lane Lane) (Life, error) {
	if c, ok := conn.(*tls.Conn); ok {
		if err := c.Handshake(); isClosed(err) {
			return Life{}, fmt.Errorf("it closed the connection instead of a TLS handshake: was it started without --cluster-key? %w", err)
		} else if err != nil {
			return Life{}, tlsProblem(err)
		}
	}
	mine := t.hello(to, lane)
	if _, err := conn.Write(mine.encode()); err != nil {
		return Life{}, tlsProblem(err)
	}
	h, err := readHello(conn)
	if t.opts.TLS == nil && isClosed(err) {
		return Life{}, fmt.Errorf("it closed the connection instead of a hello: was it started with --cluster-key and this node without? %w", err)
	} else if err != nil {
		return Life{}, tlsProblem(err)
	}
	switch {
	case h.refusal != "":
		return Life{}, fmt.Errorf("%w by node %d: %s", errRefused, h.from, h.refusal)
	case !h.answer:
		return Life{}, fmt.Errorf("hello that is no answer: %w", errMalformed)
	case h.from != to:
		return Life{}, fmt.Errorf("%w: node %d answers where node %d was looked for: has an address changed hands?", errRefused, h.from, to)
	}
	if why := t.judge(h); why != "" {
		return Life{}, fmt.Errorf("%w: %s", errRefused, why)
	}
	if err := t.lives.admit(h.from, h.life); err != nil {
		return Life{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	if _, err := conn.Write([]byte(confirmed)); err != nil {
		return Life{}, err
	}
	return h.life, conn.SetDeadline(time.Time{})
}

func (t *Transport) hello(to catalog.NodeID, lane Lane) *hello {
	o := &t.opts
	return &hello{protocol: Protocol, clusterID: o.ClusterID, from: o.Self, to: to, life: o.Life, lane: lane, version: o.Version,
		seen: t.lives.highest(to)}
}

// isRefusedDial reports that nobody listens there: the process is gone, not merely slow.
func isRefusedDial(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isClosed reports that the other side ended the connection.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// tlsProblem says what errors of a TLS handshake mean here.
func tlsProblem(err error) error {
	var unknown x509.UnknownAuthorityError
	var alert tls.AlertError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("its certificate is not of this cluster's key: was it started with another --cluster-key? %w", err)
	case errors.As(err, &notTLS):
		return fmt.Errorf("the other side does not use TLS: was it started without --cluster-key, or is it no Weir node? %w", err)
	case errors.As(err, &alert), isRemoteAlert(err):
		return fmt.Errorf("the other side does not accept this node's certificate: was it started with another --cluster-key? %w", err)
	}
	return err
}

// isRemoteAlert reports a TLS alert of the other side, which the standard library wraps in a net.OpError.
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// cause is an error's text without the addresses in it, which differ from one connection to the next.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + " " + op.Err.Error()
	}
	return err.Error()
}

// deadlineReader gives every read of a connection the same time.
type deadlineReader struct {
	conn    net.Conn
	timeout time.Duration
}

func (r deadlineReader) Read(p []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	return r.conn.Read(p)
}

var _ io.Reader = deadlineReader{}
