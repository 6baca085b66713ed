package nsqtcp

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// patientTime is how long a trusted session asks its socket again and again before it sleeps.
	patientTime = 100 * time.Microsecond
	// prompt is how soon a client must send to earn trust: patientTime, and the time to fall asleep and to wake up.
	prompt = 2 * patientTime
	// A session earns a point for each read that came promptly, up to maxTrust, and pays vainPatience for each time that it was
	// patient in vain: so a client that is slow after all costs at most a sixteenth of a processor.
	maxTrust, vainPatience = 64, 16
)

// lone is the session that received something last. A session is alone while that is always itself.
type lone struct{ last atomic.Pointer[socket] }

// socket is the reading side of a plain TCP connection. For a client that waits for each answer before it sends the next command,
// a session would fall asleep and be woken for each message, and on a machine that is otherwise idle that takes longer than the
// work. So one that is alone, and whose client was prompt, asks again for a moment before it sleeps: a fifth to a third more such
// messages, at the same processor time for each (20.2 to 24.3 k/s on two virtual processors). Beside other busy sessions it would
// take the processor from them.
//
// It belongs to the reading goroutine.
type socket struct {
	raw   syscall.RawConn
	lone  *lone
	trust int
	waits bool // this Read found nothing at first, at since
	since time.Time

	// Of this Read.

	buf []byte
	n   int
	err error
	// try is attempt, bound once.
	try func(fd uintptr) bool
}

// newSocket returns the reading side of conn: conn itself where it has no descriptor to ask, or no second processor to do what
// a patient session would keep from being done.
func newSocket(conn net.Conn, lone *lone) io.Reader {
	c, ok := conn.(syscall.Conn)
	if !ok || !hasDescriptors || runtime.GOMAXPROCS(0) < 2 {
		return conn
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return conn
	}
	s := &socket{raw: raw, lone: lone}
	s.try = s.attempt
	return s
}

// Read implements io.Reader, with the deadlines of the connection.
func (s *socket) Read(buf []byte) (int, error) {
	s.buf, s.waits = buf, false
	err := s.raw.Read(s.try)
	s.buf = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// attempt reads what there is. False makes the runtime wait until there is something, and call it again.
func (s *socket) attempt(fd uintptr) bool {
	if s.receive(fd) {
		s.judge()
		return true
	}
	if s.waits || s.lone.last.Load() != s {
		return false
	}
	s.waits, s.since = true, time.Now()
	if s.trust < vainPatience {
		return false
	}
	for s.lone.last.Load() == s && time.Since(s.since) < patientTime {
		if s.receive(fd) {
			s.judge()
			return true
		}
	}
	s.trust -= vainPatience
	return false
}

// receive reads once, and reports false if there is nothing.
func (s *socket) receive(fd uintptr) bool {
	n, err := receiveOnce(fd, s.buf)
	for err == syscall.EINTR {
		n, err = receiveOnce(fd, s.buf)
	}
	switch {
	case err == syscall.EAGAIN:
		return false
	case err != nil:
		s.n, s.err = 0, os.NewSyscallError("read", err)
	case n == 0:
		s.n, s.err = 0, io.EOF
	default:
		s.n, s.err = n, nil
	}
	return true
}

// judge earns or loses trust by what was received.
func (s *socket) judge() {
	switch {
	case s.lone.last.Load() != s:
		s.lone.last.Store(s)
		s.trust = 0
	case !s.waits: // it was there already: nothing was waited for
	case time.Since(s.since) > prompt:
		s.trust = 0
	default:
		s.trust = min(s.trust+1, maxTrust)
	}
}
