package nsqtcp

import (
	"context"
	"errors"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

// cmdSUB makes the session a consumer of a channel, which it creates if it is new. Messages follow the OK, never precede it.
//
// Errors, all fatal: E_INVALID without heartbeats, E_BAD_TOPIC, E_BAD_CHANNEL, E_SUB_FAILED, those of authorize.
func (s *session) cmdSUB(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	if s.terms.HeartbeatInterval == 0 {
		return nsqwire.Errorf(nsqwire.CodeInvalid, "cannot SUB with heartbeats disabled")
	}
	s.submit()
	if err := s.authorize(ctx, cmd.Verb, string(cmd.Topic), string(cmd.Channel)); err != nil {
		return err
	}
	sub, err := s.server.backend.subscribe(ctx, string(cmd.Topic), string(cmd.Channel), s, broker.SubscribeOptions{
		MsgTimeout: s.terms.MsgTimeout,
		SampleRate: s.terms.SampleRate,
	})
	switch {
	case errors.Is(err, broker.ErrBadTopicName):
		return nsqwire.Errorf(nsqwire.CodeBadTopic, "SUB topic name %q is not valid", cmd.Topic)
	case errors.Is(err, broker.ErrBadChannelName):
		return nsqwire.Errorf(nsqwire.CodeBadChannel, "SUB channel name %q is not valid", cmd.Channel)
	case err != nil:
		return refusal(nsqwire.SUB, err)
	}
	s.sub = sub
	s.setState(stateSubscribed)
	s.answer(answer{frame: nsqwire.AppendResponse(nil, nsqwire.OK), sub: sub})
	return nil
}

// cmdCLS ends deliveries; what is in flight can still be answered.
func (s *session) cmdCLS() {
	s.sub.StartClose()
	s.stats.ready.Store(0)
	s.setState(stateClosing)
	s.respond(nsqwire.CloseWait)
}

func (s *session) setState(to state) {
	s.state = to
	s.stats.state.Store(int32(to))
}
