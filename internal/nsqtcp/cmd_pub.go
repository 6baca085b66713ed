package nsqtcp

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// cmdPUB publishes one message, DPUB one that is deferred. It joins the burst's batch for its topic.
//
// Errors: E_PUB_FAILED, E_DPUB_FAILED, those of authorize, fatal. Deviation from nsqd: DPUB's delay counts from here, not from the dispatch.
func (s *session) cmdPUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.reserve(len(cmd.Body))
	o := s.pending.find(cmd.Topic)
	if o == nil || !o.fits(cmd.Body) {
		if o != nil || len(s.pending.open) == maxOpenBatches {
			s.submit()
		}
		var err *nsqwire.Error
		if o, err = s.begin(ctx, cmd); err != nil {
			return err
		}
	}
	s.owe(o.batch, len(cmd.Body))
	var due int64
	if cmd.Verb == nsqwire.DPUB {
		due = time.Now().Add(cmd.Delay + time.Millisecond - 1).UnixMilli() // never early
	}
	o.add(cmd.Body, due)
	return nil
}

// cmdMPUB publishes its messages as one batch of their own: all of them or none.
//
// Errors: E_MPUB_FAILED, those of authorize, fatal. Deviation from nsqd: atomic.
func (s *session) cmdMPUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.reserve(len(cmd.Body))
	s.submit()
	o, err := s.begin(ctx, cmd)
	if err != nil {
		return err
	}
	messages := cmd.Messages()
	for body, ok := messages.Next(); ok; body, ok = messages.Next() {
		o.add(body, 0)
	}
	s.owe(o.batch, o.proposal.BodyBytes)
	s.submit()
	return nil
}

// begin opens a batch for the command's topic, which it creates if it is new.
func (s *session) begin(ctx context.Context, cmd *nsqwire.Command) (*openBatch, *nsqwire.Error) {
	p := &s.pending
	if p.lastName != string(cmd.Topic) {
		p.lastName = string(cmd.Topic)
	}
	if err := s.authorize(ctx, cmd.Verb, p.lastName, ""); err != nil {
		return nil, err
	}
	t, ok := s.server.backend.topic(p.lastName)
	if !ok {
		var err error
		if t, err = s.server.backend.createTopic(ctx, p.lastName); err != nil {
			return nil, refusal(cmd.Verb, err)
		}
	}
	return p.begin(&batch{session: s, verb: cmd.Verb, name: p.lastName}, t), nil
}

// owe notes that a command is owed the outcome of a batch.
func (s *session) owe(b *batch, bytes int) {
	p := &s.pending
	if p.owed.batch != b {
		s.pushOwed()
		p.owed = answer{batch: b}
	}
	p.owed.commands++
	p.owed.bytes += bytes
}

func (s *session) pushOwed() {
	if p := &s.pending; p.owed.batch != nil {
		s.answers.push(p.owed)
		p.owed = answer{}
	}
}

// submit hands the open batches to the broker. The places among the answers come first: the outcome may be there before
// Publish returns.
func (s *session) submit() {
	s.pushOwed()
	p := &s.pending
	for i, o := range p.open {
		o.finish()
		o.topic.Publish(&o.proposal)
		o.batch, o.topic, p.open[i] = nil, nil, nil
		p.spare = append(p.spare, o)
	}
	p.open = p.open[:0]
}
