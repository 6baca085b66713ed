package cluster

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/cluster/peer"
)

// Methods of calls and streams between nodes, docs/format/peer.md.
const (
	methodRelay    = 1 // a batch for the leader of a log
	methodChange   = 2 // a change for the leader of a log
	methodSnapshot = 3 // stream: a snapshot of a log
)

// The first byte of a message that is no call.
const (
	frameRaft     = 1 // a message between replicas follows
	frameStopping = 2 // the sender is about to stop: it wants to lead nothing
)

// codes are the errors that cross the network as what they are. A code is a place in the list, plus 1; it is only ever added to.
var codes = []error{
	broker.ErrNotLeader,
	broker.ErrFull,
	broker.ErrTooManyDeferred,
	broker.ErrUnknown,
	broker.ErrFailed,
	broker.ErrClosed,
	broker.ErrNoLeader,
	broker.ErrChannelNotFound,
	broker.ErrTopicNotFound,
	broker.ErrBadChannelName,
}

// toPeer puts an error of the broker into a form that crosses the network.
func toPeer(err error) error {
	for i, known := range codes {
		if errors.Is(err, known) {
			return &peer.Error{Code: uint16(i + 1), Text: err.Error()}
		}
	}
	return err
}

// fromPeer is the inverse. What was surely not carried out is ErrNotLeader: it can be tried elsewhere.
func fromPeer(err error) error {
	var remote *peer.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, peer.ErrNotSent):
		return fmt.Errorf("%w: %w", broker.ErrNotLeader, err)
	case errors.As(err, &remote) && remote.Code == peer.CodeBusy:
		return fmt.Errorf("%w: %w", broker.ErrNotLeader, err)
	case errors.As(err, &remote) && remote.Code > 0 && int(remote.Code) <= len(codes):
		return fmt.Errorf("%w: %s", codes[remote.Code-1], remote.Text)
	case errors.As(err, &remote):
		return err
	}
	return fmt.Errorf("%w: %w", broker.ErrUnknown, err)
}
