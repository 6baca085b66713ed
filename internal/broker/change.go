package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// changeWait bounds how long a change of a topic or channel looks for the leaders of its partitions.
const changeWait = 5 * time.Second

// createWait bounds how long the creation of a channel waits for replicas of this node to show it.
const createWait = time.Second

// errBehind means that a channel is created in all partitions, and that replicas of this node do not show it yet.
var errBehind = errors.New("replicas of this node are behind")

// change is what a node asks the leader of a partition for. It names a channel where a control entry has its id: only the leader
// knows which incarnation that is now. On the wire it is
//
//	┌────┬────────┬──────┐
//	│ op │ on (1) │ name │   op as in a control entry; on: 1 pauses, else 0; name of the channel, to the end
//	└────┴────────┴──────┘
type change struct {
	op   controlOp
	on   bool
	name string
}

var errMalformedChange = errors.New("malformed change")

func (c change) encode() []byte {
	return append([]byte{byte(c.op), boolByte(c.on)}, c.name...)
}

func decodeChange(p []byte) (change, error) {
	if len(p) < 2 || p[1] > 1 {
		return change{}, fmt.Errorf("cut short: %w", errMalformedChange)
	}
	c := change{op: controlOp(p[0]), on: p[1] == 1, name: string(p[2:])}
	switch c.op {
	case opPauseTopic, opEmptyTopic:
		if c.name != "" {
			return c, fmt.Errorf("a topic's change names a channel: %w", errMalformedChange)
		}
	case opCreateChannel, opDeleteChannel, opPauseChannel, opEmptyChannel:
		if !ValidChannelName(c.name) || isEphemeral(c.name) {
			return c, fmt.Errorf("channel name %q: %w", c.name, errMalformedChange)
		}
	default:
		return c, fmt.Errorf("operation %d: %w", c.op, errMalformedChange)
	}
	if c.on && c.op != opPauseTopic && c.op != opPauseChannel {
		return c, fmt.Errorf("operation %d cannot be on: %w", c.op, errMalformedChange)
	}
	return c, nil
}

// Change executes a change that Cluster.Change passed on, at the leader of the log, and returns the index up to which a replica
// must have applied the log to show it. Changes are idempotent. For the catalog, change is one of its commands. Errors:
// ErrNotLeader, ErrChannelNotFound, those of the log.
func (b *Broker) Change(ctx context.Context, id LogID, request []byte) (record.Index, error) {
	if id == catalogLog {
		if err := catalog.Check(request); err != nil {
			return 0, fmt.Errorf("change the catalog: %w", err)
		}
		return proposeAndWait(ctx, b.catalogLog, request)
	}
	c, err := decodeChange(request)
	if err != nil {
		return 0, fmt.Errorf("change topic %016x/%d: %w", id.Topic, id.Partition, err)
	}
	part := b.partition(id)
	if part == nil {
		return 0, ErrNotLeader
	}
	return part.execute(ctx, c)
}

// execute proposes what a change needs, if anything, and waits until it is applied.
func (p *partition) execute(ctx context.Context, c change) (record.Index, error) {
	entry := control{op: c.op, name: c.name, on: c.on}
	p.mu.Lock()
	ch, applied, leading := p.mu.byName[c.name], p.mu.applied, p.mu.leading
	p.mu.Unlock()
	switch {
	case !leading && p.failure() == nil:
		return 0, ErrNotLeader
	case c.op == opCreateChannel && ch != nil:
		return applied, nil
	case c.op == opDeleteChannel || c.op == opPauseChannel || c.op == opEmptyChannel:
		if ch == nil {
			return 0, ErrChannelNotFound
		}
		entry.channel = ch.id
	}
	return p.propose(ctx, entry)
}

// change executes a change in every partition of the topic and waits until the replicas of this node show it. A channel that
// some partitions do not have any more is no error.
func (t *Topic) change(ctx context.Context, c change) error {
	cluster := t.broker.options.Cluster
	if cluster == nil || t.ephemeral {
		_, err := t.parts[0].execute(ctx, c)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeWait)
	defer cancel()
	request := c.encode()
	errs := make([]error, t.partitions)
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = t.changePartition(ctx, uint16(n), request) })
	}
	wg.Wait()
	missing, behind := 0, false
	for i, err := range errs {
		switch {
		case errors.Is(err, ErrChannelNotFound):
			missing++
			errs[i] = nil
		case err == errBehind:
			behind = true
			errs[i] = nil
		}
	}
	if missing == len(errs) {
		return ErrChannelNotFound
	}
	if err := errors.Join(errs...); err != nil || !behind {
		return err
	}
	return errBehind
}

func (t *Topic) changePartition(ctx context.Context, number uint16, request []byte) error {
	index, err := t.broker.options.Cluster.Change(ctx, LogID{t.id, number}, request)
	if err != nil {
		return fmt.Errorf("partition %d of %s: %w", number, t.name, err)
	}
	part := t.replica(number)
	if part == nil || part.failure() != nil {
		return nil
	}
	if controlOp(request[0]) == opCreateChannel {
		ctx, cancel := context.WithTimeout(ctx, createWait)
		defer cancel()
		if part.await(ctx, index) != nil {
			return errBehind
		}
		return nil
	}
	if err := part.await(ctx, index); err != nil {
		return fmt.Errorf("partition %d of %s is not caught up here: %w: %w", number, t.name, ErrUnknown, err)
	}
	return nil
}

// await waits until the replica has applied the log up to index.
func (p *partition) await(ctx context.Context, index record.Index) error {
	return p.mu.arrivals.await(ctx, &p.mu.Mutex, &p.mu.applied, index)
}
