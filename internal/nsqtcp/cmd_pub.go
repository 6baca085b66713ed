package nsqtcp

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/record"
)

// cmdPUB publishes one message, DPUB one that is deferred. It joins the burst's batch.
//
// Errors: E_PUB_FAILED, E_DPUB_FAILED, fatal. Deviation from nsqd: DPUB's delay counts from here, not from the dispatch.
func (s *session) cmdPUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.reserve(len(cmd.Body))
	if s.pending == nil || s.pending.name != string(cmd.Topic) || s.builder.Len()+len(cmd.Body) > maxBatchSize {
		if err := s.begin(ctx, cmd); err != nil {
			return err
		}
	}
	s.pending.commands++
	if cmd.Verb == nsqwire.DPUB {
		s.add(cmd.Body, time.Now().Add(cmd.Delay+time.Millisecond-1).UnixMilli()) // never early
		return nil
	}
	s.add(cmd.Body, 0)
	return nil
}

// cmdMPUB publishes its messages as one batch of their own: all of them or none.
//
// Errors: E_MPUB_FAILED, fatal. Deviation from nsqd: atomic.
func (s *session) cmdMPUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.reserve(len(cmd.Body))
	if err := s.begin(ctx, cmd); err != nil {
		return err
	}
	s.pending.commands = 1
	messages := cmd.Messages()
	for body, ok := messages.Next(); ok; body, ok = messages.Next() {
		s.add(body, 0)
	}
	s.submit()
	return nil
}

// begin submits the batch before and begins one for the command's topic, which it creates if it is new.
func (s *session) begin(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	s.submit()
	if s.lastName != string(cmd.Topic) {
		s.lastName = string(cmd.Topic)
	}
	t, ok := s.server.backend.topic(s.lastName)
	if !ok {
		var err error
		if t, err = s.server.backend.createTopic(ctx, s.lastName); err != nil {
			return refusal(cmd.Verb, err)
		}
	}
	s.into = t
	s.pending = &batch{session: s, verb: cmd.Verb, name: s.lastName}
	return nil
}

// add puts one message into the pending batch; due is in Unix ms, 0 for at once.
func (s *session) add(body []byte, due int64) {
	s.builder.Append(body, due)
	s.pending.proposal.Messages++
	s.pending.proposal.BodyBytes += len(body)
}

// submit hands the pending batch to the broker. Its place among the answers comes first: the outcome may be there before
// Publish returns.
func (s *session) submit() {
	b := s.pending
	if b == nil {
		return
	}
	s.pending = nil
	b.proposal.Kind, b.proposal.Flags = record.KindBatch, s.builder.Flags()
	b.proposal.Payload = s.builder.Finish(time.Now().UnixMilli())
	b.proposal.Owner = b
	s.answers.push(answer{batch: b, bytes: b.proposal.BodyBytes})
	s.into.Publish(&b.proposal)
}
