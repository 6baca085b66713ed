package nsqtcp

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// cmdPUB publishes one message, DPUB one that is deferred. It joins the burst's batch.
//
// Errors: E_PUB_FAILED, E_DPUB_FAILED, those of authorize, fatal. Deviation from nsqd: DPUB's delay counts from here, not from the dispatch.
func (s *session) cmdPUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.reserve(len(cmd.Body))
	if !s.pending.fits(cmd.Topic, cmd.Body) {
		if err := s.begin(ctx, cmd); err != nil {
			return err
		}
	}
	s.pending.batch.commands++
	var due int64
	if cmd.Verb == nsqwire.DPUB {
		due = time.Now().Add(cmd.Delay + time.Millisecond - 1).UnixMilli() // never early
	}
	s.pending.add(cmd.Body, due)
	return nil
}

// cmdMPUB publishes its messages as one batch of their own: all of them or none.
//
// Errors: E_MPUB_FAILED, those of authorize, fatal. Deviation from nsqd: atomic.
func (s *session) cmdMPUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.reserve(len(cmd.Body))
	if err := s.begin(ctx, cmd); err != nil {
		return err
	}
	s.pending.batch.commands = 1
	messages := cmd.Messages()
	for body, ok := messages.Next(); ok; body, ok = messages.Next() {
		s.pending.add(body, 0)
	}
	s.submit()
	return nil
}

// begin submits the batch before and begins one for the command's topic, which it creates if it is new.
func (s *session) begin(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.submit()
	p := &s.pending
	if p.lastName != string(cmd.Topic) {
		p.lastName = string(cmd.Topic)
	}
	if err := s.authorize(ctx, cmd.Verb, p.lastName, ""); err != nil {
		return err
	}
	t, ok := s.server.backend.topic(p.lastName)
	if !ok {
		var err error
		if t, err = s.server.backend.createTopic(ctx, p.lastName); err != nil {
			return refusal(cmd.Verb, err)
		}
	}
	p.topic = t
	p.batch = &batch{session: s, verb: cmd.Verb, name: p.lastName}
	return nil
}

// submit hands the pending batch to the broker. Its place among the answers comes first: the outcome may be there before
// Publish returns.
func (s *session) submit() {
	b := s.pending.take()
	if b == nil {
		return
	}
	s.answers.push(answer{batch: b, bytes: b.proposal.BodyBytes})
	s.pending.topic.Publish(&b.proposal)
}
