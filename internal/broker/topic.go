package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// Topic is a named stream of messages. Its methods may be called from any goroutine.
//
// Of its partitions it holds those that this node has a replica of; the catalog knows the others. A lone node has one for each
// topic, and leads it.
type Topic struct {
	broker     *Broker
	name       string
	id         uint64 // incarnation, and salt of the message ids
	ephemeral  bool
	partitions uint16
	parts      []*partition // the replicas of this node, by number

	// target is the partition that this node publishes to: of those it leads the one it is preferred for, else the first; nil
	// if it leads none. A lone node's is always its only one.
	target    atomic.Pointer[partition]
	targeting sync.Mutex  // one choice at a time, so that the last one stands
	gone      atomic.Bool // deleted, or closing

	messages atomic.Uint64 // published here in this life of the node
	bytes    atomic.Uint64 // bodies thereof

	entered   entered
	confirmed sync.Map // names of channels known to be in every partition, where this node has not all replicas
}

// newTopic returns a topic with the replicas that this node is to hold, without their logs.
func newTopic(b *Broker, ct catalog.Topic) *Topic {
	t := &Topic{broker: b, name: ct.Name, id: ct.ID, ephemeral: isEphemeral(ct.Name), partitions: ct.Partitions}
	if b.options.Cluster == nil || t.ephemeral {
		t.partitions = 1
		t.parts = []*partition{newPartition(b, t, 0)}
		t.target.Store(t.parts[0])
		return t
	}
	self := b.options.Cluster.Self()
	for i := range ct.Placement {
		if _, here := ct.Placement[i].On(self); here {
			p := newPartition(b, t, uint16(i))
			p.preferred = ct.Placement[i].Preferred == self
			t.parts = append(t.parts, p)
		}
	}
	return t
}

// Name returns the topic's name.
func (t *Topic) Name() string { return t.name }

// only reports whether the topic has one partition, held by this node: then its failure is the topic's.
func (t *Topic) only() bool { return t.partitions == 1 && len(t.parts) == 1 }

// replica returns this node's replica of a partition, nil if it has none.
func (t *Topic) replica(number uint16) *partition {
	for _, p := range t.parts {
		if p.number == number {
			return p
		}
	}
	return nil
}

// retarget chooses the partition to publish to, after leadership has changed.
func (t *Topic) retarget() {
	if t.broker.options.Cluster == nil || t.ephemeral {
		return
	}
	t.targeting.Lock()
	defer t.targeting.Unlock()
	var best *partition
	for _, p := range t.parts {
		if p.leads.Load() && (best == nil || p.preferred && !best.preferred) {
			best = p
		}
	}
	t.target.Store(best)
}

// Publish submits a batch. It may block while too many bytes of all publishers wait for their commit; the outcome goes to
// p.Owner. The batch is the broker's from here on. In a cluster it goes to a partition that this node leads, else to another
// node; when no partition has a leader for some seconds, the error is ErrNoLeader.
func (t *Topic) Publish(p *Proposal) {
	part := t.target.Load()
	if part != nil {
		if err := part.refusal(p); err != nil {
			answerProposal(p, fmt.Errorf("publish to %s: %w", t.name, err))
			return
		}
	}
	p.Kind = record.KindBatch
	p.topic = t
	p.size = int64(len(p.Payload))
	t.broker.budget.acquire(p.size)
	p.publisher, p.Owner = p.Owner, publication{}
	if part == nil {
		t.broker.router.send(p)
		return
	}
	part.log.Propose(p)
}

// refusal returns why the partition takes no such batch now, or nil.
func (p *partition) refusal(batch *Proposal) error {
	if err := p.failure(); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if batch.Flags&record.FlagDue != 0 && p.tooManyDeferred() {
		return ErrTooManyDeferred
	}
	return nil
}

// publication is the owner of all published batches: it keeps the books, then tells the publisher.
type publication struct{}

// Proposed implements Owner.
func (publication) Proposed(p *Proposal) {
	t := p.topic
	if p.Err != nil && t.broker.router.retry(p) {
		return
	}
	t.broker.budget.release(p.size)
	if p.Err == nil && (p.route == nil || !p.route.forwarded) {
		t.count(p)
	}
	p.Owner = p.publisher
	if p.Owner != nil {
		p.Owner.Proposed(p)
	}
}

// count keeps the books of a batch that is in the log. In a cluster the leader does, so that the nodes' sums are right.
func (t *Topic) count(p *Proposal) {
	t.messages.Add(uint64(p.Messages))
	t.bytes.Add(uint64(p.BodyBytes))
}

// Channel returns the channel of that name.
func (t *Topic) Channel(name string) (*Channel, bool) {
	for _, p := range t.parts {
		if ch, ok := p.channel(name); ok {
			return ch, true
		}
	}
	return nil, false
}

// Channels returns the topic's channels as far as this node has replicas of it, sorted by name.
func (t *Topic) Channels() []*Channel {
	if len(t.parts) == 1 {
		return *t.parts[0].list.Load()
	}
	var all []*Channel
	for _, p := range t.parts {
		all = append(all, *p.list.Load()...)
	}
	slices.SortStableFunc(all, compareChannels)
	return slices.CompactFunc(all, func(a, b *Channel) bool { return a.name == b.name })
}

// hasChannel reports whether every partition is known to have the channel.
func (t *Topic) hasChannel(name string) bool {
	for _, p := range t.parts {
		if _, ok := p.channel(name); !ok && p.failure() == nil {
			t.confirmed.Delete(name)
			return false
		}
	}
	if len(t.parts) == int(t.partitions) {
		return true
	}
	_, confirmed := t.confirmed.Load(name)
	return confirmed
}

// CreateChannel makes the channel of that name, in every partition, if needed. What is published after its return is in the
// channel. Ephemeral channels are this node's own.
// The Channel is nil if no replica of this node shows it yet.
func (t *Topic) CreateChannel(ctx context.Context, name string) (*Channel, error) {
	ch, _, err := t.createChannel(ctx, name)
	return ch, err
}

// createChannel is CreateChannel. It reports behind if the channel exists, but replicas of this node are so far behind that they do
// not show it: subscriptions get their seats there when they do.
func (t *Topic) createChannel(ctx context.Context, name string) (ch *Channel, behind bool, err error) {
	if !ValidChannelName(name) {
		return nil, false, ErrBadChannelName
	}
	for {
		if t.hasChannel(name) {
			if ch, ok := t.Channel(name); ok || len(t.parts) == 0 {
				return ch, false, nil
			}
		}
		if isEphemeral(name) {
			ch, err := t.createEphemeral(name)
			return ch, false, err
		}
		if t.gone.Load() {
			return nil, false, ErrTopicNotFound
		}
		err := t.change(ctx, change{op: opCreateChannel, name: name})
		if err == errBehind {
			ch, _ := t.Channel(name)
			return ch, true, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("create channel %s of %s: %w", name, t.name, err)
		}
		t.confirmed.Store(name, true)
	}
}

// DeleteChannel deletes a channel and disconnects its consumers. It is durable on return. Error: ErrChannelNotFound; not if the
// channel was deleted just now, since the admin page asks each node in turn.
func (t *Topic) DeleteChannel(ctx context.Context, name string) error {
	ch, ok := t.Channel(name)
	if ok && ch.ephemeral {
		t.eachChannel(name, func(ch *Channel) { ch.partition.deleteEphemeral(ch) })
		return nil
	}
	if !ok && len(t.parts) == int(t.partitions) {
		return t.broker.deleted.excuse(t.name+":"+name, ErrChannelNotFound)
	}
	t.confirmed.Delete(name)
	err := t.change(ctx, change{op: opDeleteChannel, name: name})
	return t.broker.deleted.excuse(t.name+":"+name, err)
}

// eachChannel calls do for the channel of that name in each partition that this node has.
func (t *Topic) eachChannel(name string, do func(*Channel)) {
	for _, p := range t.parts {
		if ch, ok := p.channel(name); ok {
			do(ch)
		}
	}
}

// SetPaused stops (true) or resumes (false) the flow into the topic's channels; publishing goes on. Durable on return.
func (t *Topic) SetPaused(ctx context.Context, paused bool) error {
	return t.change(ctx, change{op: opPauseTopic, on: paused})
}

// Empty drops the messages that wait for a dispatch to channels. Durable on return.
func (t *Topic) Empty(ctx context.Context) error {
	return t.change(ctx, change{op: opEmptyTopic})
}

// propose submits a control entry and waits until it is applied.
func (p *partition) propose(ctx context.Context, c control) (record.Index, error) {
	return proposeAndWait(ctx, p.log, c.encode())
}

// proposeAndWait submits a control entry to a log and waits until it is applied or refused. When the context ends first the
// entry may still be applied.
func proposeAndWait(ctx context.Context, log Log, payload []byte) (record.Index, error) {
	done := make(waiter, 1)
	log.Propose(&Proposal{Kind: record.KindControl, Payload: payload, Owner: done})
	return done.wait(ctx)
}

// waiter is the owner of a proposal that one goroutine waits for.
type waiter chan *Proposal

// Proposed implements Owner.
func (w waiter) Proposed(p *Proposal) { w <- p }

// wait returns the outcome, or ErrUnknown if the context ends first.
func (w waiter) wait(ctx context.Context) (record.Index, error) {
	select {
	case p := <-w:
		return p.Index, p.Err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}
