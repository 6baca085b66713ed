package nsqtcp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

const (
	// flushSize is how much output is gathered at most before it is written, in bytes; the message that crosses it is the
	// last.
	flushSize = 128 << 10
	// pullMax bounds the messages of one Pull, since flushSize does not count the headers of small ones.
	pullMax = 2048
	// keptOutputSize is the largest output buffer that is kept after a flush, in bytes.
	keptOutputSize = 256 << 10
)

// output is the sending side of a session. It belongs to the session's owner of the output.
type output struct {
	buf   []byte // frames not yet written
	peak  int    // most bytes written at once since the last heartbeat
	terms nsqwire.Terms
	beat  *time.Ticker // nil without heartbeats; of the writing goroutine alone
	sub   subscription // from the OK of SUB on
	ended bool         // the last answer is in buf
	to    io.Writer    // the connection, or the topmost of the layers over it
	// deflate is the layer to, if that is deflate.
	deflate *deflateWriter
	// upgrade is to be carried out when buf is sent.
	upgrade *upgrade
	// beatDue is of the writing goroutine alone, too: a heartbeat is due.
	beatDue bool
}

// Deliver implements broker.Sink.
func (o *output) Deliver(m *broker.Message) {
	o.buf = nsqwire.AppendMessage(o.buf, m.Time, m.Attempts, (*nsqwire.MessageID)(&m.ID), m.Body)
}

// write sends answers, messages and heartbeats until the last answer is out.
func (s *session) write(ctx context.Context) error {
	s.out.beat = newBeat(s.out.terms)
	defer func() { stopBeat(s.out.beat) }()
	for {
		var beat <-chan time.Time // nil without heartbeats: it never fires
		if s.out.beat != nil {
			beat = s.out.beat.C
		}
		select {
		case <-s.wakeC:
		case <-beat:
			s.out.beatDue = true
		case <-ctx.Done():
			return ctx.Err()
		}
		if !s.owner.accept() {
			continue // the owner has just been told, and hands over
		}
		for done := false; !done; {
			seen := s.owner.seen()
			if ended, err := s.work(); ended || err != nil {
				return err // an owner for ever: nobody writes after this
			}
			done = s.owner.release(seen)
		}
	}
}

// work sends what there is to send. It flushes before it asks the broker again, so that a session that waits to be woken
// holds nothing back and is not stuck in a write.
func (s *session) work() (ended bool, err error) {
	for {
		s.out.heartbeat()
		s.collect()
		if err := s.pull(); err != nil {
			return false, err
		}
		if len(s.out.buf) == 0 {
			return s.out.ended, nil
		}
		if err := s.flush(); err != nil {
			return false, err
		}
		if up := s.out.upgrade; up != nil {
			s.out.upgrade = nil
			if err := s.carryOut(up); err != nil {
				return false, err
			}
		}
		if s.out.ended {
			return true, nil
		}
	}
}

// collect moves ready answers into the output buffer.
func (s *session) collect() {
	for !s.out.ended && len(s.out.buf) < flushSize {
		a, ok := s.answers.pop()
		if !ok {
			return
		}
		switch {
		case a.batch != nil:
			s.answerPublishes(&a)
		default:
			s.out.buf = append(s.out.buf, a.frame...)
		}
		if a.terms != nil {
			s.out.setTerms(*a.terms)
		}
		if a.sub != nil {
			s.out.sub = a.sub
		}
		s.out.ended = s.out.ended || a.last
		if a.upgrade != nil {
			s.out.upgrade = a.upgrade
			return // what follows goes through the new layers
		}
	}
}

// answerPublishes gives each publish in a row that went into one batch its OK, or tells that they failed and ends the session.
func (s *session) answerPublishes(a *answer) {
	b := a.batch
	if err := b.proposal.Err; err != nil {
		s.failed.Store(true)
		s.out.ended = true
		s.out.buf = nsqwire.AppendError(s.out.buf, refusal(b.verb, err))
		return
	}
	for range a.commands {
		s.out.buf = nsqwire.AppendResponse(s.out.buf, nsqwire.OK)
	}
	messages := a.commands
	if b.verb == nsqwire.MPUB {
		messages = b.proposal.Messages
	}
	s.stats.published(b.name, messages)
}

// pull delivers what is ready, as much as fits. An error says that messages cannot be read.
func (s *session) pull() error {
	room := flushSize - len(s.out.buf)
	if s.out.sub == nil || s.out.ended || room <= 0 || s.stopped.Load() || !s.turn.begin() {
		return nil
	}
	n, err := s.out.sub.Pull(pullMax, room, &s.out)
	if s.turn.leave() {
		s.out.sub.Close()
	}
	s.stats.messages.Add(int64(n))
	if err != nil {
		s.log().Error("closing a consumer: its messages cannot be read", slog.Any("error", err))
		return fmt.Errorf("pull: %w", err)
	}
	return nil
}

// flush writes the output buffer. The client has a heartbeat interval's time to take it, or stopWriteTime.
func (s *session) flush() error {
	if err := s.limitWrite(); err != nil {
		return err
	}
	_, err := s.out.to.Write(s.out.buf)
	s.out.peak = max(s.out.peak, len(s.out.buf))
	s.out.buf = s.out.buf[:0]
	if cap(s.out.buf) > keptOutputSize {
		s.out.buf = nil
	}
	return err
}

// limitWrite sets the deadline of the next write.
func (s *session) limitWrite() error {
	var deadline time.Time
	switch beat := s.out.terms.HeartbeatInterval; {
	case s.stopped.Load():
		deadline = time.Now().Add(stopWriteTime)
	case beat > 0:
		deadline = time.Now().Add(beat)
	}
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if s.stopped.Load() { // since just now: its deadline may be overwritten
		return s.conn.SetWriteDeadline(time.Now().Add(stopWriteTime))
	}
	return nil
}

// setTerms adopts the interval of heartbeats.
func (o *output) setTerms(terms nsqwire.Terms) {
	o.terms = terms
	stopBeat(o.beat)
	o.beat = newBeat(terms)
}

// newBeat returns the clock of heartbeats, nil without.
func newBeat(terms nsqwire.Terms) *time.Ticker {
	if terms.HeartbeatInterval == 0 {
		return nil
	}
	return time.NewTicker(terms.HeartbeatInterval)
}

func stopBeat(t *time.Ticker) {
	if t != nil {
		t.Stop()
	}
}

// heartbeat adds a heartbeat if one is due. It comes with each interval, whatever else is sent.
func (o *output) heartbeat() {
	if !o.beatDue {
		return
	}
	o.beatDue = false
	o.shrink()
	o.buf = nsqwire.AppendResponse(o.buf, nsqwire.Heartbeat)
}

// shrink gives back an output buffer that has been far too large for a heartbeat interval.
func (o *output) shrink() {
	if len(o.buf) == 0 && cap(o.buf) > minInputSize && o.peak < cap(o.buf)/4 {
		o.buf = nil
	}
	if o.peak <= smallWrite {
		o.release()
	}
	o.peak = 0
}

// release gives back what a quiet session has no need of.
func (o *output) release() {
	if o.deflate != nil {
		o.deflate.release()
	}
}
