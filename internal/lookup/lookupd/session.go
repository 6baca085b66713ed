package lookupd

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/lookup/registry"
	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// Limits of a connection.
const (
	// firstBufferBytes is the input buffer at first; it grows to a whole command, and shrinks again after it.
	firstBufferBytes = 1 << 10
	// writeTimeout is how long a broker may take to accept an answer.
	writeTimeout = 10 * time.Second
	// helloTimeout is how long a connection may take to say which protocol it speaks and to give its first command.
	helloTimeout = 10 * time.Second
	// lingerTime and lingerBytes bound what is read and dropped after a refusal: closing with unread input would reset the
	// connection, and the broker might never see why.
	lingerTime  = 250 * time.Millisecond
	lingerBytes = 64 << 10
)

// session is one broker's connection. Everything in it belongs to its goroutine; Server.Close may close conn.
type session struct {
	server     *Server
	conn       net.Conn
	id         registry.PeerID
	identified bool
	broker     string // its host and the port it announced, once identified: two on a host are told apart
	in         []byte
}

// run serves the connection until it ends, forgets the broker, and closes it.
func (s *session) run() {
	defer s.conn.Close()
	log := s.server.options.Logger.With(slog.String("remote", string(s.id)))
	err := s.serve(log)
	if s.identified {
		s.server.ask(func(r *registry.Registry, _ time.Time) { r.Disconnect(s.id) })
	}
	var refusal *nsqwire.Error
	switch {
	case errors.As(err, &refusal):
		s.warn("broker refused: what it sends is not understood", err)
		s.write(lookupwire.AppendAnswer(nil, refusal.Error()))
		s.linger()
	case errors.Is(err, errNoTLS):
		s.warn("broker refused: give it the address as tls://HOST:PORT", err)
	case err != nil && s.identified && !s.server.closing():
		s.tell("broker gone", slog.Any("reason", err))
	}
}

// warn logs why the connection is refused, unless that was just told of its host.
func (s *session) warn(message string, err error) {
	s.server.quiet.Warn(message+" "+s.host(), message, slog.String("remote", string(s.id)), slog.Any("reason", err))
}

// tell logs that the broker came or went, unless that was just told of it: whoever connects can say to be one.
func (s *session) tell(message string, attrs ...any) {
	s.server.brokers.Info(message+" "+s.broker, message, append(attrs, slog.String("remote", string(s.id)))...)
}

// host returns where the broker connects from, without the port.
func (s *session) host() string {
	host, _, _ := net.SplitHostPort(string(s.id))
	return host
}

// serve reads and answers commands until it meets one that cannot be accepted, or the connection ends. It always returns an error.
func (s *session) serve(log *slog.Logger) error {
	s.in = make([]byte, 0, firstBufferBytes)
	deadline := time.Now().Add(helloTimeout) // of the command that is awaited
	if err := s.fill(len(lookupwire.Magic), deadline); err != nil {
		return err
	}
	if !bytes.HasPrefix(s.in, []byte(lookupwire.Magic)) {
		return &nsqwire.Error{Code: nsqwire.CodeBadProtocol}
	}
	s.take(len(lookupwire.Magic))
	idle := max(2*s.server.options.InactiveProducerTimeout, time.Minute)
	var answers []byte
	for {
		var cmd lookupwire.Command
		n, need, err := lookupwire.Parse(s.in, &cmd)
		answer, refusal := s.judge(&cmd, n, err, log)
		switch {
		case refusal != nil:
			if err := s.write(answers); err != nil {
				return err
			}
			return refusal
		case n > 0:
			answers = lookupwire.AppendAnswer(answers, answer)
			s.take(n)
			deadline = time.Now().Add(idle)
			continue
		}
		if err := s.write(answers); err != nil { // all complete commands are answered
			return err
		}
		answers = answers[:0]
		if err := s.fill(need, deadline); err != nil {
			return truncated(s.in, &cmd, err)
		}
	}
}

// judge executes a command that took n bytes, or refuses it for the state of the connection, which comes first as in nsqlookupd, or for
// err. An incomplete one has neither answer nor refusal.
func (s *session) judge(cmd *lookupwire.Command, n int, err error, log *slog.Logger) (answer []byte, refusal error) {
	switch {
	case cmd.Verb == lookupwire.IDENTIFY && s.identified:
		return nil, nsqwire.Errorf(nsqwire.CodeInvalid, "cannot IDENTIFY again")
	case (cmd.Verb == lookupwire.REGISTER || cmd.Verb == lookupwire.UNREGISTER) && !s.identified:
		return nil, nsqwire.Errorf(nsqwire.CodeInvalid, "client must IDENTIFY")
	case err != nil || n == 0:
		return nil, err
	case cmd.Verb == lookupwire.IDENTIFY:
		return s.identify(cmd.Body)
	}
	s.server.ask(func(r *registry.Registry, now time.Time) {
		switch cmd.Verb {
		case lookupwire.REGISTER:
			if err := r.Register(s.id, cmd.Topic, cmd.Channel); err != nil {
				refusal = nsqwire.Errorf(nsqwire.CodeInvalid, "REGISTER %v", err)
			}
		case lookupwire.UNREGISTER:
			r.Unregister(s.id, cmd.Topic, cmd.Channel)
		case lookupwire.PING:
			if s.identified {
				r.Ping(s.id, now)
			}
		}
	})
	log.Debug("command", slog.Int("verb", int(cmd.Verb)), slog.String("topic", cmd.Topic), slog.String("channel", cmd.Channel))
	return []byte(lookupwire.OK), refusal
}

// identify makes the broker known and returns what it is told of the service.
func (s *session) identify(body []byte) ([]byte, error) {
	peer, err := lookupwire.DecodePeer(body)
	if err != nil {
		return nil, err
	}
	peer.RemoteAddress = string(s.id)
	s.server.ask(func(r *registry.Registry, now time.Time) { r.Identify(s.id, peer, now) })
	s.identified, s.broker = true, net.JoinHostPort(s.host(), strconv.Itoa(peer.TCPPort))
	s.tell("broker is there", slog.String("broadcast_address", peer.BroadcastAddress), slog.Int("tcp_port", peer.TCPPort),
		slog.Int("http_port", peer.HTTPPort), slog.String("version", peer.Version))
	return s.server.service.JSON(), nil
}

// truncated returns the refusal of an IDENTIFY that the broker broke off, else err.
func truncated(in []byte, cmd *lookupwire.Command, err error) error {
	if cmd.Verb != lookupwire.IDENTIFY || !errors.Is(err, io.EOF) {
		return err
	}
	if len(in)-bytes.IndexByte(in, '\n')-1 < 4 {
		return nsqwire.Errorf(nsqwire.CodeBadBody, "IDENTIFY failed to read body size")
	}
	return nsqwire.Errorf(nsqwire.CodeBadBody, "IDENTIFY failed to read body")
}

// fill reads until the input holds size bytes, which must be before the deadline.
func (s *session) fill(size int, deadline time.Time) error {
	if size > cap(s.in) {
		s.in = slices.Grow(s.in, size-len(s.in))
	}
	if len(s.in) >= size {
		return nil
	}
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	for len(s.in) < size {
		n, err := s.conn.Read(s.in[len(s.in):cap(s.in)])
		s.in = s.in[:len(s.in)+n]
		if err != nil && len(s.in) < size {
			return err
		}
	}
	return nil
}

// take drops n bytes from the input, and a buffer that grew for them.
func (s *session) take(n int) {
	rest := s.in[n:]
	if cap(s.in) > 2*firstBufferBytes && len(rest) <= firstBufferBytes {
		s.in = append(make([]byte, 0, firstBufferBytes), rest...)
		return
	}
	s.in = append(s.in[:0], rest...)
}

func (s *session) write(answers []byte) error {
	if len(answers) == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(answers)
	return err
}

// linger closes our side and drops what the broker still sends, for a moment.
func (s *session) linger() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerTime)) // a closed connection has no need of it
	_, _ = io.CopyN(io.Discard, s.conn, lingerBytes)
}
