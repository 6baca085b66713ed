package nsqtcp

import "syscall"

// direct sends bytes without ever blocking. It needs a connection that has a file descriptor.
type direct struct {
	conn syscall.RawConn // nil: not possible
	buf  []byte
	n    int
	// try is attempt, bound once.
	try func(fd uintptr) bool
}

func newDirect(conn any) *direct {
	d := &direct{}
	if c, ok := conn.(syscall.Conn); ok && hasDescriptors {
		if raw, err := c.SyscallConn(); err == nil {
			d.conn = raw
		}
	}
	d.try = d.attempt
	return d
}

// send writes what the socket takes at once and returns how much that was. An error is not reported: the next ordinary write
// meets it too.
func (d *direct) send(buf []byte) int {
	if d.conn == nil {
		return 0
	}
	d.buf, d.n = buf, 0
	_ = d.conn.Write(d.try)
	d.buf = nil
	return d.n
}

func (d *direct) attempt(fd uintptr) bool {
	d.n = max(sendOnce(fd, d.buf), 0)
	return true
}

// answerDirectly sends the OKs of committed batches from the goroutine that committed them. Whatever else there is to do it
// leaves to the writing goroutine: other answers, errors, deliveries, and the rest of what the socket does not take.
func (s *session) answerDirectly() {
	if !s.owner.take() {
		return
	}
	if s.direct.conn == nil { // only the owner may ask
		s.owner.hand()
		s.Wake()
		return
	}
	for len(s.out.buf) < flushSize {
		a, ok := s.answers.popCommitted()
		if !ok {
			break
		}
		s.answerPublishes(&a)
	}
	if len(s.out.buf) > 0 {
		n := s.direct.send(s.out.buf)
		s.out.buf = s.out.buf[:copy(s.out.buf, s.out.buf[n:])]
	}
	if len(s.out.buf) == 0 && !s.answers.ready() && s.owner.release(1) {
		return
	}
	s.owner.hand()
	s.Wake()
}
