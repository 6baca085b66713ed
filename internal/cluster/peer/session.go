package peer

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

var (
	errAddressChanged = errors.New("the peer has another address now")
	errPeerDown       = errors.New("the peer is down")
	errSilent         = errors.New("nothing was heard from the peer")
)

// session is one outgoing connection, from its hello to its end.
type session struct {
	link *link
	conn net.Conn
	out  *outbox

	mu struct {
		sync.Mutex
		calls  map[uint64]func([]byte, error) // without an answer, by id
		lastID uint64
		ended  bool
		cause  error // why the connection was broken from here
	}
}

func newSession(l *link, conn net.Conn) *session {
	s := &session{link: l, conn: conn, out: newOutbox(l.t.opts.Limits.queueBytes(l.lane))}
	s.mu.calls = make(map[uint64]func([]byte, error))
	return s
}

// fail breaks the connection; serve returns soon after.
func (s *session) fail(cause error) {
	s.mu.Lock()
	if s.mu.cause == nil {
		s.mu.cause = cause
	}
	s.mu.Unlock()
	s.conn.Close()
}

// serve runs the connection until it breaks, and says why it did. Nothing is written or read after it has returned.
func (s *session) serve() error {
	var tasks sync.WaitGroup
	stopC := make(chan struct{})
	tasks.Go(func() {
		if err := s.out.run(s.conn, s.link.t.opts.Limits.WriteTimeout); err != nil {
			s.fail(err)
		}
	})
	tasks.Go(func() { s.ping(stopC) })
	err := s.read()
	s.fail(err)
	close(stopC)
	s.out.close()
	tasks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.cause
}

// read takes what the listener answers.
func (s *session) read() error {
	r := newFrameReader(s.conn, s.link.t.opts.Limits.FrameBytes)
	for {
		h, payload, err := r.next()
		if err != nil {
			return err
		}
		s.link.heardNow()
		switch h.kind {
		case kindReply:
			s.answer(h.id, payload, nil)
		case kindFailure:
			s.answer(h.id, nil, &Error{Code: h.code, Text: string(payload)})
		case kindPong:
			s.link.rtt.Store(int64(time.Since(s.link.t.started)) - int64(h.id))
		default:
			return fmt.Errorf("frame of kind %d from a listener: %w", h.kind, errMalformed)
		}
	}
}

// ping sends heartbeats and breaks a connection on which nothing comes back.
func (s *session) ping(stopC <-chan struct{}) {
	interval := s.link.t.opts.Limits.Heartbeat
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for last := time.Now(); ; last = time.Now() {
		s.out.add(header{kind: kindPing, id: uint64(time.Since(s.link.t.started))}, nil) // a full outbox is traffic enough
		select {
		case <-ticker.C:
		case <-stopC:
			return
		}
		if time.Since(last) > 3*interval {
			continue // this process stood still itself: what came meanwhile is still to be read
		}
		if s.link.silence() > s.link.patience() {
			s.fail(fmt.Errorf("%w for %v", errSilent, s.link.silence().Round(time.Millisecond)))
			return
		}
	}
}
