package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/peer"
	"github.com/weirmq/weir/internal/replica"
)

// peers is the connections between nodes as the Raft groups use them. It implements replica.Peers.
type peers struct{ *Cluster }

// Send implements replica.Peers.
func (p *peers) Send(to catalog.NodeID, lane replica.Lane, frame [][]byte) bool {
	on := peer.Append
	if lane == replica.LaneControl {
		on = peer.Control
	}
	return p.transport.Send(to, on, []byte{frameRaft}, frame...)
}

// Up implements replica.Peers.
func (p *peers) Up(node catalog.NodeID) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.up[node] && !p.stopping[node]
}

// fetchTimeout bounds the transfer of one log.
const fetchTimeout = time.Hour

// Fetch implements replica.Peers.
func (p *peers) Fetch(from catalog.NodeID, id broker.LogID) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	r, err := p.transport.Stream(ctx, from, methodSnapshot, appendLogID(nil, id))
	if err != nil {
		cancel()
		return nil, err
	}
	return &fetched{r, cancel}, nil
}

// fetched is a stream with its context.
type fetched struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (f *fetched) Close() error {
	defer f.cancel()
	return f.ReadCloser.Close()
}

const logIDBytes = 10

func appendLogID(dst []byte, id broker.LogID) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(dst, id.Topic), id.Partition)
}

var errMalformedRequest = errors.New("malformed request of another node")

// logID splits a log's id off a request.
func logID(b []byte) (broker.LogID, []byte, error) {
	if len(b) < logIDBytes {
		return broker.LogID{}, nil, fmt.Errorf("%w: %d bytes", errMalformedRequest, len(b))
	}
	return broker.LogID{Topic: binary.BigEndian.Uint64(b), Partition: binary.BigEndian.Uint16(b[8:])}, b[logIDBytes:], nil
}

// received takes a message of another node.
func (c *Cluster) received(from catalog.NodeID, _ peer.Lane, frame []byte) {
	switch {
	case len(frame) > 0 && frame[0] == frameRaft:
		if err := c.groups.Receive(from, frame[1:]); err != nil {
			c.logger.Warn("dropping a message of another node", slog.Uint64("node", uint64(from)), slog.Any("error", err))
		}
	case len(frame) == 1 && frame[0] == frameStopping:
		c.mu.Lock()
		c.stopping[from] = true
		c.mu.Unlock()
	default:
		c.logger.Warn("dropping a message of another node that this version does not know", slog.Uint64("node", uint64(from)), slog.Int("bytes", len(frame)))
	}
}

// called carries out a call of another node.
func (c *Cluster) called(r peer.Request) {
	id, rest, err := logID(r.Body)
	b := c.broker.Load()
	switch {
	case err != nil:
		r.Fail(err)
	case b == nil:
		r.Fail(toPeer(broker.ErrNotLeader))
	case r.Method == methodRelay:
		c.takeRelayed(b, id, rest, r)
	case r.Method == methodChange:
		c.carryOut(b, id, rest, r)
	default:
		r.Fail(fmt.Errorf("%w: method %d is not known to this version", errMalformedRequest, r.Method))
	}
}

// streamed serves a stream to another node.
func (c *Cluster) streamed(_ catalog.NodeID, method uint8, request []byte, w io.Writer) error {
	id, rest, err := logID(request)
	if err == nil && (method != methodSnapshot || len(rest) > 0) {
		err = fmt.Errorf("%w: stream %d", errMalformedRequest, method)
	}
	if err != nil {
		return err
	}
	return c.groups.Snapshot(id, w)
}
