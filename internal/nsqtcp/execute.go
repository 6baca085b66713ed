package nsqtcp

import (
	"context"

	"github.com/weirmq/weir/internal/nsqwire"
)

// checkState refuses a command that has no place in the session's state.
func (s *session) checkState(verb nsqwire.Verb) *nsqwire.Error {
	ok := true
	switch verb {
	case nsqwire.IDENTIFY, nsqwire.AUTH, nsqwire.SUB:
		ok = s.state == stateInit && (verb != nsqwire.IDENTIFY || s.layers.Load() == nil)
	case nsqwire.CLS:
		ok = s.state == stateSubscribed
	case nsqwire.RDY, nsqwire.FIN, nsqwire.REQ, nsqwire.TOUCH:
		ok = s.state != stateInit
	}
	if s.needsTLS && verb != nsqwire.IDENTIFY {
		return nsqwire.Errorf(nsqwire.CodeInvalid, "cannot %s in current state (TLS required)", verb)
	}
	if !ok {
		return nsqwire.Errorf(nsqwire.CodeInvalid, "cannot %s in current state", verb)
	}
	return nil
}

// execute carries out one command. An error is fatal.
func (s *session) execute(ctx context.Context, cmd *nsqwire.Command) *nsqwire.Error {
	switch cmd.Verb {
	case nsqwire.PUB, nsqwire.DPUB:
		return s.cmdPUB(ctx, cmd)
	case nsqwire.FIN:
		s.cmdFIN(cmd)
		return nil
	case nsqwire.NOP:
		return nil
	case nsqwire.MPUB:
		return s.cmdMPUB(ctx, cmd)
	}
	s.finish() // what follows must find the messages before it finished
	switch cmd.Verb {
	case nsqwire.RDY:
		s.cmdRDY(cmd)
	case nsqwire.REQ:
		s.cmdREQ(cmd)
	case nsqwire.TOUCH:
		s.cmdTOUCH(cmd)
	case nsqwire.SUB:
		return s.cmdSUB(ctx, cmd)
	case nsqwire.CLS:
		s.cmdCLS()
	case nsqwire.IDENTIFY:
		return s.cmdIDENTIFY(cmd)
	case nsqwire.AUTH:
		return s.cmdAUTH(ctx, cmd)
	}
	return nil
}
