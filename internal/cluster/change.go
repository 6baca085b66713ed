package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/peer"
	"github.com/weirmq/weir/internal/record"
)

const (
	// changePause is the rest before another attempt to find the leader, at first; it doubles up to changePauseMax.
	changePause    = 5 * time.Millisecond
	changePauseMax = 200 * time.Millisecond
	// changeAttempt bounds one attempt: the node that is asked may just have died.
	changeAttempt = 2 * time.Second
)

// Change implements broker.Cluster.
func (c *Cluster) Change(ctx context.Context, id broker.LogID, change []byte) (record.Index, error) {
	pause, unknown := changePause, false
	for {
		index, err := c.attempt(ctx, id, change)
		unknown = unknown || errors.Is(err, broker.ErrUnknown)
		if err == nil || !again(err) {
			return index, err
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, changePauseMax)
		case <-ctx.Done():
			if unknown {
				return 0, fmt.Errorf("%w: %w", broker.ErrUnknown, err)
			}
			return 0, fmt.Errorf("%w: %w", broker.ErrNoLeader, err)
		}
	}
}

// again tells whether another attempt, perhaps elsewhere, may help.
func again(err error) bool {
	for _, temporary := range [...]error{broker.ErrNotLeader, broker.ErrNoLeader, broker.ErrUnknown, broker.ErrClosed, broker.ErrFailed} {
		if errors.Is(err, temporary) {
			return true
		}
	}
	return false
}

func (c *Cluster) attempt(ctx context.Context, id broker.LogID, change []byte) (record.Index, error) {
	ctx, cancel := context.WithTimeout(ctx, changeAttempt)
	defer cancel()
	leader := c.Leader(id)
	switch leader {
	case 0:
		return 0, broker.ErrNoLeader
	case c.self:
		b := c.broker.Load()
		if b == nil {
			return 0, broker.ErrNotLeader
		}
		return b.Change(ctx, id, change)
	}
	reply, err := c.transport.Call(ctx, leader, peer.Control, methodChange, append(appendLogID(nil, id), change...))
	if err = fromPeer(err); err != nil {
		c.refused(id, leader, err)
		return 0, err
	}
	if len(reply) != 8 {
		return 0, fmt.Errorf("node %d answered a change with %d bytes", leader, len(reply))
	}
	return record.Index(binary.BigEndian.Uint64(reply)), nil
}

// refused looks for another leader if that is what an answer of one means.
func (c *Cluster) refused(id broker.LogID, node catalog.NodeID, err error) {
	if errors.Is(err, broker.ErrNotLeader) || errors.Is(err, broker.ErrUnknown) {
		c.notLeader(id, node)
	}
}

// carryOut carries out a change of another node.
func (c *Cluster) carryOut(b *broker.Broker, id broker.LogID, change []byte, r peer.Request) {
	select {
	case c.changes <- struct{}{}:
	default:
		r.Fail(&peer.Error{Code: peer.CodeBusy, Text: "too many changes at one time"})
		return
	}
	c.runs.Go(func() {
		defer func() { <-c.changes }()
		ctx, cancel := context.WithTimeout(context.Background(), changeAttempt)
		defer cancel()
		index, err := b.Change(ctx, id, change)
		if err != nil {
			r.Fail(toPeer(err))
			return
		}
		r.Reply(binary.BigEndian.AppendUint64(nil, uint64(index)))
	})
}
