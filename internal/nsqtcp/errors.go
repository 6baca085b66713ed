package nsqtcp

import (
	"errors"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

// failure is the code with which a command fails that was well-formed and in place, when the broker refuses it. Whether the
// connection closes is the code's matter: nsqwire.Code.Fatal.
func failure(verb nsqwire.Verb) nsqwire.Code {
	switch verb {
	case nsqwire.PUB:
		return nsqwire.CodePubFailed
	case nsqwire.MPUB:
		return nsqwire.CodeMPubFailed
	case nsqwire.DPUB:
		return nsqwire.CodeDPubFailed
	case nsqwire.IDENTIFY, nsqwire.AUTH:
		return nsqwire.CodeBadBody
	case nsqwire.SUB:
		return nsqwire.CodeSubFailed
	case nsqwire.FIN:
		return nsqwire.CodeFinFailed
	case nsqwire.REQ:
		return nsqwire.CodeReqFailed
	case nsqwire.TOUCH:
		return nsqwire.CodeTouchFailed
	}
	panic("nsqtcp: " + verb.String() + " cannot be refused by the broker")
}

// reason is the text for a broker's error, as nsqd's users know it or as tells them what to do. Other errors give their own
// text.
func reason(err error) string {
	switch {
	case errors.Is(err, broker.ErrNotInFlight):
		return "ID not in flight"
	case errors.Is(err, broker.ErrNotOwner):
		return "client does not own message"
	case errors.Is(err, broker.ErrClosed):
		return "exiting"
	case errors.Is(err, broker.ErrFull):
		return "no space left for new messages"
	case errors.Is(err, broker.ErrTooManyDeferred):
		return broker.ErrTooManyDeferred.Error()
	case errors.Is(err, broker.ErrFailed):
		return "log failed, restart the node"
	case errors.Is(err, broker.ErrUnknown):
		return "outcome unknown, the message may have been stored"
	case errors.Is(err, broker.ErrNoLeader):
		return broker.ErrNoLeader.Error()
	case errors.Is(err, broker.ErrNotLeader):
		return "not the leader of the partition, try another node"
	}
	return err.Error()
}

// refusal translates a broker's error for the client whose command it stopped.
func refusal(verb nsqwire.Verb, err error) *nsqwire.Error {
	return nsqwire.Errorf(failure(verb), "%s failed %s", verb, reason(err))
}

// messageRefusal is refusal for FIN, REQ and TOUCH, whose text names the message.
func messageRefusal(verb nsqwire.Verb, id *broker.MessageID, err error) *nsqwire.Error {
	return nsqwire.Errorf(failure(verb), "%s %s failed %s", verb, id[:], reason(err))
}
