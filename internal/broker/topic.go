package broker

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

// Topic is a named stream of messages. Its methods may be called from any goroutine.
type Topic struct {
	broker    *Broker
	name      string
	id        uint64 // incarnation, and salt of the message ids
	ephemeral bool
	partition *partition // a lone node has one for each topic

	messages atomic.Uint64 // published in this life of the node
	bytes    atomic.Uint64 // bodies thereof
}

func newTopic(b *Broker, name string, id uint64) *Topic {
	t := &Topic{broker: b, name: name, id: id, ephemeral: isEphemeral(name)}
	t.partition = newPartition(b, t, 0)
	return t
}

// Name returns the topic's name.
func (t *Topic) Name() string { return t.name }

// Publish submits a batch. It may block while too many bytes of all publishers wait for their commit; the outcome goes to
// p.Owner. The batch is the broker's from here on.
func (t *Topic) Publish(p *Proposal) {
	if err := t.refusal(p); err != nil {
		p.Err = fmt.Errorf("publish to %s: %w", t.name, err)
		if p.Owner != nil {
			p.Owner.Proposed(p)
		}
		return
	}
	p.Kind = record.KindBatch
	p.topic = t
	p.size = int64(len(p.Payload))
	t.broker.budget.acquire(p.size)
	p.publisher, p.Owner = p.Owner, publication{}
	t.partition.log.Propose(p)
}

// refusal returns why the topic takes no such batch now, or nil.
func (t *Topic) refusal(p *Proposal) error {
	if err := t.partition.failure(); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if p.Flags&record.FlagDue != 0 && t.partition.tooManyDeferred() {
		return ErrTooManyDeferred
	}
	return nil
}

// publication is the owner of all published batches: it keeps the books, then tells the publisher.
type publication struct{}

// Proposed implements Owner.
func (publication) Proposed(p *Proposal) {
	t := p.topic
	t.broker.budget.release(p.size)
	if p.Err == nil {
		t.messages.Add(uint64(p.Messages))
		t.bytes.Add(uint64(p.BodyBytes))
	}
	p.Owner = p.publisher
	if p.Owner != nil {
		p.Owner.Proposed(p)
	}
}

// Channel returns the channel of that name.
func (t *Topic) Channel(name string) (*Channel, bool) { return t.partition.channel(name) }

// Channels returns the topic's channels, sorted by name.
func (t *Topic) Channels() []*Channel { return *t.partition.list.Load() }

// CreateChannel returns the channel of that name, made if needed. What is published after its return is in the channel.
func (t *Topic) CreateChannel(ctx context.Context, name string) (*Channel, error) {
	if !ValidChannelName(name) {
		return nil, ErrBadChannelName
	}
	for {
		if ch, ok := t.Channel(name); ok {
			return ch, nil
		}
		if isEphemeral(name) {
			return t.partition.createEphemeral(name)
		}
		if err := t.partition.propose(ctx, control{op: opCreateChannel, name: name}); err != nil {
			return nil, fmt.Errorf("create channel %s of %s: %w", name, t.name, err)
		}
	}
}

// DeleteChannel deletes a channel and disconnects its consumers. It is durable on return. Error: ErrChannelNotFound.
func (t *Topic) DeleteChannel(ctx context.Context, name string) error {
	ch, ok := t.Channel(name)
	if !ok {
		return ErrChannelNotFound
	}
	if ch.ephemeral {
		t.partition.deleteEphemeral(ch)
		return nil
	}
	return t.partition.propose(ctx, control{op: opDeleteChannel, channel: ch.id})
}

// SetPaused stops (true) or resumes (false) the flow into the topic's channels; publishing goes on. Durable on return.
func (t *Topic) SetPaused(ctx context.Context, paused bool) error {
	return t.partition.propose(ctx, control{op: opPauseTopic, on: paused})
}

// Empty drops the messages that wait for a dispatch to channels. Durable on return.
func (t *Topic) Empty(ctx context.Context) error {
	return t.partition.propose(ctx, control{op: opEmptyTopic})
}

// propose submits a control entry and waits until it is applied.
func (p *partition) propose(ctx context.Context, c control) error {
	return proposeAndWait(ctx, p.log, c.encode())
}

// proposeAndWait submits a control entry to a log and waits until it is applied or refused. When the context ends first the
// entry may still be applied.
func proposeAndWait(ctx context.Context, log Log, payload []byte) error {
	done := make(waiter, 1)
	log.Propose(&Proposal{Kind: record.KindControl, Payload: payload, Owner: done})
	return done.wait(ctx)
}

// waiter is the owner of a proposal that one goroutine waits for.
type waiter chan error

// Proposed implements Owner.
func (w waiter) Proposed(p *Proposal) { w <- p.Err }

// wait returns the outcome, or ErrUnknown if the context ends first.
func (w waiter) wait(ctx context.Context) error {
	select {
	case err := <-w:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}
