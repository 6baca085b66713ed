package nsqtcp

import (
	"errors"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
)

// failures is the code with which a command fails that was well-formed and in place, when the broker refuses it. Whether the
// connection closes is the code's matter: nsqwire.Code.Fatal.
var failures = map[nsqwire.Verb]nsqwire.Code{
	nsqwire.PUB:   nsqwire.CodePubFailed,
	nsqwire.MPUB:  nsqwire.CodeMPubFailed,
	nsqwire.DPUB:  nsqwire.CodeDPubFailed,
	nsqwire.SUB:   nsqwire.CodeSubFailed,
	nsqwire.FIN:   nsqwire.CodeFinFailed,
	nsqwire.REQ:   nsqwire.CodeReqFailed,
	nsqwire.TOUCH: nsqwire.CodeTouchFailed,
}

// reasons are the texts for the broker's errors, as nsqd's users know them or as tells them what to do. Other errors give
// their own text.
var reasons = []struct {
	err    error
	reason string
}{
	{broker.ErrNotInFlight, "ID not in flight"},
	{broker.ErrNotOwner, "client does not own message"},
	{broker.ErrClosed, "exiting"},
	{broker.ErrFull, "no space left for new messages"},
	{broker.ErrFailed, "log failed, restart the node"},
	{broker.ErrUnknown, "outcome unknown, the message may have been stored"},
	{broker.ErrNotLeader, "not the leader of the partition, try another node"},
}

// refusal translates a broker's error for the client whose command it stopped.
func refusal(verb nsqwire.Verb, err error) *nsqwire.Error {
	return nsqwire.Errorf(failures[verb], "%s failed %s", verb, reason(err))
}

// messageRefusal is refusal for FIN, REQ and TOUCH, whose text names the message.
func messageRefusal(verb nsqwire.Verb, id *broker.MessageID, err error) *nsqwire.Error {
	return nsqwire.Errorf(failures[verb], "%s %s failed %s", verb, id[:], reason(err))
}

func reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return err.Error()
}
