package nsqtcp

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/nsqwire"
)

// session is one client connection.
//
// Concurrency: each group of fields says who may touch it.
type session struct {
	// Never changed.

	server  *Server
	conn    net.Conn
	answers *answers
	wakeC   chan struct{} // cap 1: the writing goroutine has something to do
	goneC   chan struct{} // closed when the writing goroutine has ended

	// Shared.

	stopped atomic.Bool // no more deliveries, and the input ends within stopGrace
	failed  atomic.Bool // no further command is executed
	turn    turn        // who may use the subscription
	stats   stats
	layers  atomic.Pointer[layers]      // nil = plain
	grants  atomic.Pointer[auth.Grants] // nil before AUTH

	// Of the reading goroutine.

	in      input
	state   state
	terms   nsqwire.Terms
	sub     subscription // nil before SUB
	room    room         // how much may still become unanswered
	pending pending      // publishes not yet submitted
	done    done         // FINs not yet handed over
	upgrade *upgrade     // to be carried out before the next command; mostly nil
	secret  string       // of AUTH, to ask again
	// needsTLS refuses every command but IDENTIFY.
	needsTLS bool

	// Of the owner of the output: the writing goroutine, or a committing one for a moment.

	owner  ownership
	out    output
	direct *direct
}

// state is how far a session has come. The numbers are those of /stats.
type state int32

const (
	stateInit       state = 0
	stateSubscribed state = 3
	stateClosing    state = 4 // after CLS
)

// stopGrace is how long a stopped session goes on reading, so that commands already received are executed.
const stopGrace = 50 * time.Millisecond

// stopWriteTime is how long a write of a stopped session may take: a client that does not read cannot hold up a shutdown.
const stopWriteTime = time.Second

// lingerTime and lingerBytes bound how long and how much a session reads and drops after its last word. Closing with unread
// input would reset the connection, and the client might never see the error that explains it.
const (
	lingerTime  = 250 * time.Millisecond
	lingerBytes = 16 << 20
)

func newSession(server *Server, conn net.Conn) *session {
	s := &session{
		server: server, conn: conn, answers: newAnswers(),
		wakeC: make(chan struct{}, 1), goneC: make(chan struct{}),
		terms: server.options.terms(),
	}
	s.stats.init(conn)
	s.in.large, s.in.source = &server.inputs, newSocket(conn, &server.lone)
	s.needsTLS = server.options.TLSRequired
	s.out.terms, s.out.to = s.terms, conn
	s.done.onRefused = s.done.note
	s.direct = newDirect(conn)
	return s
}

// run serves the connection until it ends, and closes it. A cancelled context ends it at once.
func (s *session) run(ctx context.Context) {
	defer s.conn.Close()
	defer s.in.free()
	defer s.out.release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := false
	go func() {
		defer close(s.goneC)
		err := s.write(ctx)
		told = err == nil
		if err != nil {
			s.log().Debug("cannot write to the client", slog.Any("error", err))
		}
		s.stop()
		cancel() // nobody is left to hear of what the reading goroutine waits for
	}()
	err := s.read(ctx)
	if s.turn.end() && s.sub != nil {
		s.sub.Close()
	}
	s.answers.push(answer{last: true})
	s.Wake()
	<-s.goneC
	s.log().Debug("session ended", slog.Any("reason", err))
	if l := s.layers.Load(); told && l != nil && l.tlsConn != nil {
		_ = l.tlsConn.CloseWrite() // after a last word that went out
	}
	s.linger()
}

// log returns a logger that names the client. It is made for each line, since most sessions never need one.
func (s *session) log() *slog.Logger {
	return s.server.options.Logger.With(slog.String("remote", s.stats.remote))
}

// stop makes the session end soon: what it has received is executed and answered, nothing more is delivered.
func (s *session) stop() {
	s.stopped.Store(true)
	now := time.Now()
	_ = s.conn.SetReadDeadline(now.Add(stopGrace)) // a closed connection has no need of it
	_ = s.conn.SetWriteDeadline(now.Add(stopWriteTime))
	s.Wake()
}

// linger closes our side and drops what the client still sends, for a moment.
func (s *session) linger() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerTime))
	buf := s.in.scratch()
	for dropped := 0; dropped < lingerBytes; {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		dropped += n
	}
}

// Wake implements broker.Client: the writing goroutine looks for something to do.
func (s *session) Wake() {
	select {
	case s.wakeC <- struct{}{}:
	default:
	}
}

// Gone implements broker.Client.
func (s *session) Gone(err error) {
	s.log().Debug("subscription ended by the broker", slog.Any("reason", err))
	s.stop()
}

// answer adds an answer after those of all commands before it.
func (s *session) answer(a answer) {
	s.reserve(len(a.frame))
	s.submit()
	a.bytes = len(a.frame)
	s.answers.push(a)
	s.Wake()
}

// respond answers a command with a response frame.
func (s *session) respond(data string) {
	s.answer(answer{frame: nsqwire.AppendResponse(nil, data)})
}

// refuse answers a command with an error frame.
func (s *session) refuse(e *nsqwire.Error) {
	s.answer(answer{frame: nsqwire.AppendError(nil, e), last: e.Code.Fatal()})
}

// reserve waits until a command with that many bytes may become unanswered. While it waits nothing is read.
func (s *session) reserve(bytes int) {
	if s.room.commands <= 0 || s.room.bytes < bytes {
		s.settle()
		s.room = s.answers.await(bytes, s.goneC)
	}
	s.room.commands--
	s.room.bytes -= bytes
}

// settle hands over what a burst has collected.
func (s *session) settle() {
	s.finish()
	s.submit()
}

// turn makes sure that a subscription is closed once, and not beside a Pull.
type turn struct{ state atomic.Int32 }

const (
	turnIdle int32 = iota
	turnPulling
	turnEnded
)

// begin allows a Pull; the caller must say leave afterwards.
func (t *turn) begin() bool { return t.state.CompareAndSwap(turnIdle, turnPulling) }

// leave ends a Pull. It reports whether the subscription is to be closed now.
func (t *turn) leave() bool { return !t.state.CompareAndSwap(turnPulling, turnIdle) }

// end allows no further Pull. It reports whether the subscription is to be closed now; else leave will.
func (t *turn) end() bool { return t.state.Swap(turnEnded) == turnIdle }
