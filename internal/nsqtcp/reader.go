package nsqtcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

const (
	// minInputSize is the read buffer of a quiet session, in bytes.
	minInputSize = 512
	// maxInputSize is the read buffer of a busy session. Only a body that needs more gets more, as it arrives.
	maxInputSize = 64 << 10
	// quietTime is how long a session must be quiet to give its read buffer back.
	quietTime = 5 * time.Second
)

// errStopped ends the reading of a session that was stopped.
var errStopped = errors.New("stopped")

// errInputsFull ends the reading of a session whose body finds no room beside those of the others.
var errInputsFull = errors.New("too many large bodies are on their way, try again")

// input is a session's read buffer: buf[start:end] is received and not yet executed.
type input struct {
	buf        []byte
	start, end int
	full       bool // the last read filled the buffer: there may be more than it holds
	large      *largeInputs
	source     io.Reader // the connection, or the topmost of the layers over it
	brittle    bool      // the source is of no use after a deadline has passed
	counted    int64     // of large: what buf is longer than maxInputSize
}

// largeInputs bounds what the read buffers of all sessions are longer than maxInputSize, in bytes. What finds no room is
// refused at once: to wait for others' bodies would let clients that send slowly stop those that do not.
type largeInputs struct {
	limit int64
	used  atomic.Int64
}

// take counts more bytes, fewer if more is negative; it reports false, and counts nothing, if the limit does not allow it.
func (l *largeInputs) take(more int64) bool {
	if l.used.Add(more) <= l.limit || more <= 0 {
		return true
	}
	l.used.Add(-more)
	return false
}

func (in *input) bytes() []byte { return in.buf[in.start:in.end] }

func (in *input) len() int { return in.end - in.start }

func (in *input) skip(n int) { in.start += n }

// scratch returns the whole buffer, for bytes that nobody will look at.
func (in *input) scratch() []byte {
	if len(in.buf) == 0 {
		in.resize(minInputSize)
	}
	return in.buf
}

// free gives the buffer back.
func (in *input) free() {
	in.start, in.end = 0, 0
	in.resize(0)
}

// makeRoom prepares for a read after which need bytes may be there. The buffer doubles after a read that filled it, up to
// maxInputSize, beyond that only for one command; so it never is more than twice what a client has really sent, whatever
// length it has announced. After a large body it goes back to maxInputSize. It reports false if there is no room for so large
// a body.
func (in *input) makeRoom(need int) bool {
	size := max(len(in.buf), minInputSize)
	switch {
	case in.full:
		size = min(2*size, max(need, maxInputSize))
	case size > maxInputSize && need <= maxInputSize:
		size = maxInputSize
	}
	in.full = false
	return in.resize(size)
}

// filled notes that a read has brought n bytes.
func (in *input) filled(n int) {
	in.end += n
	in.full = in.end == len(in.buf)
}

// resize moves what is held to the beginning of a buffer of that size. It reports false if the limit of all large buffers does
// not allow it; one of up to maxInputSize is always allowed.
func (in *input) resize(size int) bool {
	if size == len(in.buf) {
		if in.start > 0 {
			in.end = copy(in.buf, in.bytes())
			in.start = 0
		}
		return true
	}
	counted := int64(max(0, size-maxInputSize))
	if !in.large.take(counted - in.counted) {
		return false
	}
	in.counted = counted
	buf := make([]byte, size)
	in.end = copy(buf, in.bytes())
	in.buf, in.start = buf, 0
	return true
}

// read executes commands until the input ends, a command is fatal, or the session is stopped. It returns why. All it leaves
// to do is to close.
func (s *session) read(ctx context.Context) error {
	defer s.settle()
	if err := s.readMagic(); err != nil {
		return err
	}
	var cmd nsqwire.Command
	for {
		need, err := s.burst(ctx, &cmd)
		if err != nil {
			s.settle()
			var e *nsqwire.Error
			if errors.As(err, &e) {
				s.refuse(e)
			}
			return err
		}
		if s.in.len() == 0 {
			cmd = nsqwire.Command{} // it would keep the buffer that it points into
		}
		if err := s.fill(need); err != nil {
			if e := nsqwire.Truncated(s.in.bytes(), &cmd, &s.server.limits); e != nil && errors.Is(err, io.EOF) {
				s.refuse(e)
			}
			if errors.Is(err, errInputsFull) {
				s.refuse(refusal(cmd.Verb, err))
			}
			return fmt.Errorf("read: %w", err)
		}
	}
}

// readMagic reads the first four bytes.
func (s *session) readMagic() error {
	for s.in.len() < len(nsqwire.Magic) {
		if err := s.fill(len(nsqwire.Magic)); err != nil {
			return fmt.Errorf("read magic: %w", err)
		}
	}
	if magic := s.in.bytes()[:len(nsqwire.Magic)]; string(magic) != nsqwire.Magic {
		s.refuse(&nsqwire.Error{Code: nsqwire.CodeBadProtocol})
		return fmt.Errorf("magic %q is not %q", magic, nsqwire.Magic)
	}
	s.in.skip(len(nsqwire.Magic))
	return nil
}

// burst executes every complete command that has been received. It returns how many bytes the next one needs at least, or
// the *nsqwire.Error that ends the session.
func (s *session) burst(ctx context.Context, cmd *nsqwire.Command) (need int, err error) {
	s.room = s.answers.room()
	for s.in.len() > 0 {
		var n int
		n, need, err = nsqwire.Parse(s.in.bytes(), &s.server.limits, cmd)
		if cmd.Verb != 0 {
			if e := s.checkState(cmd.Verb); e != nil {
				return 0, e
			}
		}
		if err != nil {
			return 0, err
		}
		if need > 0 {
			break
		}
		if s.failed.Load() {
			return 0, errStopped
		}
		if e := s.execute(ctx, cmd); e != nil {
			return 0, e
		}
		s.in.skip(n)
		if s.upgrade != nil {
			if err := s.awaitUpgrade(); err != nil {
				return 0, err
			}
		}
	}
	s.settle()
	return need, nil
}

// fill reads once or more, until need bytes are there.
func (s *session) fill(need int) error {
	for first := true; first || s.in.len() < need; first = false {
		if !s.in.makeRoom(need) {
			return errInputsFull
		}
		n, err := s.readOnce()
		s.in.filled(n)
		if err != nil && n == 0 {
			return err
		}
	}
	return nil
}

// release gives back the memory that a quiet session has no need of.
func (s *session) release() {
	s.in.resize(minInputSize)
	s.pending.spare = nil
	s.done.ids = nil
}

// readOnce reads what there is. A session that is quiet gives its buffers back while it waits.
func (s *session) readOnce() (int, error) {
	limit := s.readLimit()
	if len(s.in.buf) > minInputSize && s.in.len() == 0 && !s.in.brittle && (limit == 0 || limit > quietTime) {
		n, err := s.readWithin(quietTime)
		var timeout net.Error
		if n > 0 || !errors.As(err, &timeout) || !timeout.Timeout() || s.stopped.Load() {
			return n, err
		}
		s.release()
		if limit > 0 {
			limit -= quietTime
		}
	}
	return s.readWithin(limit)
}

// readLimit is how long a client may be silent: two heartbeats, since it answers each with a NOP. 0 means for ever.
func (s *session) readLimit() time.Duration { return 2 * s.terms.HeartbeatInterval }

// readWithin reads once, for at most limit; 0 is no limit. A stopped session's deadline is set by stop and stays.
func (s *session) readWithin(limit time.Duration) (int, error) {
	if s.stopped.Load() {
		return s.in.source.Read(s.in.buf[s.in.end:])
	}
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	if s.stopped.Load() { // since just now: its deadline may be overwritten
		s.stop()
	}
	return s.in.source.Read(s.in.buf[s.in.end:])
}
