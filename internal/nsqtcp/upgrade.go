package nsqtcp

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

// handshakeTime is how long a TLS handshake may take, nsqd's.
const handshakeTime = 5 * time.Second

// upgrades are the layers that a connection gets between the reply to IDENTIFY and the next command: TLS, then snappy or
// deflate. Each is followed by an OK inside the new layer.
type upgrades struct {
	tls, snappy, deflate bool
	deflateLevel         int // also told to clients without deflate
}

// any reports whether there is something to do.
func (u upgrades) any() bool { return u.tls || u.snappy || u.deflate }

// defaultDeflateLevel is that of clients that name none.
const defaultDeflateLevel = 6

// grant says which of the wished upgrades the session gets.
func (s *session) grant(id *nsqwire.Identify) (upgrades, *nsqwire.Error) {
	o := &s.server.options
	u := upgrades{
		tls: id.TLSv1 && o.TLS != nil, snappy: id.Snappy && !o.NoSnappy, deflate: id.Deflate && !o.NoDeflate,
		deflateLevel: defaultDeflateLevel,
	}
	if u.deflate && id.DeflateLevel > 0 {
		u.deflateLevel = id.DeflateLevel
	}
	u.deflateLevel = min(u.deflateLevel, o.MaxDeflateLevel)
	if u.deflate && u.snappy {
		return u, nsqwire.Errorf(nsqwire.CodeIdentifyFailed, "cannot enable both deflate and snappy compression")
	}
	return u, nil
}

// upgrade is one change of layers. The reading goroutine makes it and waits; the writing goroutine, when it has sent the reply,
// carries it out, since nobody else may write meanwhile.
type upgrade struct {
	upgrades
	reply answer
	rest  []byte // what was received after IDENTIFY: it belongs to the new layers

	// The outcome, valid once doneC is closed.

	doneC  chan struct{}
	source io.Reader
	layers *layers
	err    error
}

// layers is what a connection has got.
type layers struct {
	upgrades
	tlsConn *tls.Conn // nil without TLS
}

// describe tells what a connection has got, in nsqd's words.
func (l *layers) describe(out *broker.ClientStats) {
	out.Snappy, out.Deflate, out.TLS = l.snappy, l.deflate, l.tls
	if l.tls {
		state := l.tlsConn.ConnectionState()
		out.TLSVersion = strings.ReplaceAll(tls.VersionName(state.Version), " ", "")
		out.TLSCipherSuite = tls.CipherSuiteName(state.CipherSuite)
	}
}

// awaitUpgrade makes the writing goroutine carry out the upgrade, and reads from the new layers then.
//
// Errors, fatal: E_IDENTIFY_FAILED.
func (s *session) awaitUpgrade() error {
	up := s.upgrade
	s.upgrade = nil
	up.rest = bytes.Clone(s.in.bytes())
	s.in.skip(len(up.rest))
	up.reply.upgrade = up
	s.answer(up.reply)
	select {
	case <-up.doneC:
	case <-s.goneC:
		return errStopped
	}
	if up.err != nil {
		s.log().Info("a client's connection could not be upgraded", slog.Any("error", up.err))
		return nsqwire.Errorf(nsqwire.CodeIdentifyFailed, "IDENTIFY failed %s", up.err)
	}
	s.in.source, s.in.brittle = up.source, up.snappy || up.deflate
	s.layers.Store(up.layers)
	s.needsTLS = s.needsTLS && !up.tls
	return nil
}

// carryOut puts the layers in place and sends their OKs. It belongs to the writing goroutine as the owner of the output. An error
// of it is a failed write; a failed handshake is told to the reading goroutine.
func (s *session) carryOut(up *upgrade) error {
	defer close(up.doneC)
	s.direct.conn = nil
	up.layers = &layers{upgrades: up.upgrades}
	up.source = s.conn
	if len(up.rest) > 0 {
		up.source = io.MultiReader(bytes.NewReader(up.rest), s.conn)
	}
	if up.tls {
		conn := tls.Server(&layered{s.conn, up.source}, s.server.options.TLS)
		if up.err = s.handshake(conn); up.err != nil {
			return nil
		}
		up.source, s.out.to, up.layers.tlsConn = conn, conn, conn
		if err := s.confirm(); err != nil {
			return err
		}
	}
	switch {
	case up.snappy:
		s.out.to = &snappyWriter{to: s.out.to, pools: &s.server.pools}
		up.source = newSnappyReader(up.source)
		return s.confirm()
	case up.deflate:
		s.out.deflate = &deflateWriter{to: gather{to: s.out.to}, level: up.deflateLevel, pools: &s.server.pools}
		s.out.to = s.out.deflate
		up.source = newDeflateReader(up.source)
		return s.confirm()
	}
	return nil
}

// confirm sends the OK of a new layer inside it.
func (s *session) confirm() error {
	s.out.buf = nsqwire.AppendResponse(s.out.buf, nsqwire.OK)
	return s.flush()
}

// handshake negotiates TLS.
func (s *session) handshake(conn *tls.Conn) error {
	if err := s.conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	if s.stopped.Load() { // since just now: its deadline may be overwritten
		s.stop()
	}
	return conn.Handshake()
}

// layered is a connection that is read through something.
type layered struct {
	net.Conn
	from io.Reader
}

// Read implements net.Conn.
func (l *layered) Read(p []byte) (int, error) { return l.from.Read(p) }
