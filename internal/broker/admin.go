package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/weirmq/weir/internal/catalog"
)

// CreateTopic returns the topic of that name, made if needed; a durable one is in the catalog on return. Errors:
// ErrBadTopicName, ErrClosed, those of the log, or the context's.
func (b *Broker) CreateTopic(ctx context.Context, name string) (*Topic, error) {
	if t, ok := b.Topic(name); ok {
		return t, nil
	}
	if !ValidTopicName(name) {
		return nil, ErrBadTopicName
	}
	known := b.options.KnownChannels(ctx, name) // asked before any lock: it waits for the network
	b.admin.Lock()
	defer b.admin.Unlock()
	if t, ok := b.Topic(name); ok {
		return t, nil
	}
	if b.closed() {
		return nil, ErrClosed
	}
	create := b.createDurable
	if isEphemeral(name) {
		create = b.createEphemeral
	}
	t, err := create(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	t.createKnown(ctx, known)
	b.register(t)
	return t, nil
}

// createKnown makes channels of a topic that nobody can publish to yet, so that they get its first message.
func (t *Topic) createKnown(ctx context.Context, names []string) {
	for _, name := range names {
		if _, err := t.CreateChannel(ctx, name); err != nil {
			t.broker.options.Logger.Warn("a channel that the topic has elsewhere was not made; it begins when its first consumer comes",
				slog.String("topic", t.name), slog.String("channel", name), slog.Any("error", err))
		}
	}
}

// createDurable makes the log, then the catalog entry, then opens the topic, for the caller to register: a crash in between leaves
// an unclaimed log. The catalog decides which log is the topic's: that of an earlier creation, if its outcome was unknown and it is
// there after all.
func (b *Broker) createDurable(ctx context.Context, name string) (*Topic, error) {
	if err := b.catalog.failure(); err != nil {
		return nil, err
	}
	ct, there := b.catalog.topic(name)
	if !there {
		var err error
		if ct, err = b.createInCatalog(ctx, name); err != nil {
			return nil, err
		}
	}
	return b.openTopic(ct, false)
}

// createInCatalog makes a log and proposes a topic for it. It returns the topic that the catalog has then.
func (b *Broker) createInCatalog(ctx context.Context, name string) (catalog.Topic, error) {
	mine := catalog.Topic{Name: name, ID: newTopicID(), Partitions: 1}
	if err := b.logs.Create(LogID{Topic: mine.ID}); err != nil {
		return mine, err
	}
	err := proposeAndWait(ctx, b.catalogLog, catalog.EncodeCreate(mine))
	if errors.Is(err, ErrUnknown) {
		return mine, err // the log may be claimed yet
	}
	ct, there := b.catalog.topic(name)
	if err == nil && !there {
		err = ErrTopicNotFound // deleted again, just now
	}
	if err != nil || ct.ID != mine.ID {
		err = errors.Join(err, b.logs.Delete(LogID{Topic: mine.ID}))
	}
	return ct, err
}

func (b *Broker) createEphemeral(_ context.Context, name string) (*Topic, error) {
	t := newTopic(b, name, newTopicID())
	t.partition.log = newMemLog(t.partition, b.options.EphemeralMessages, b.options.EphemeralBytes)
	if err := t.partition.log.Start(0); err != nil {
		return nil, err
	}
	return t, nil
}

// DeleteTopic deletes a topic with its channels and messages, and disconnects its consumers. Durable on return. Once proposed it
// is waited for whatever becomes of the context, for nothing may be published into a topic that is about to go. Errors:
// ErrTopicNotFound; ErrUnknown, and then the topic takes nothing until it is opened again, if it is still there.
func (b *Broker) DeleteTopic(ctx context.Context, name string) error {
	b.admin.Lock()
	defer b.admin.Unlock()
	t, ok := b.Topic(name)
	if !ok {
		return ErrTopicNotFound
	}
	var unknown error
	if !t.ephemeral {
		ct := catalog.Topic{Name: t.name, ID: t.id, Partitions: 1}
		err := proposeAndWait(context.WithoutCancel(ctx), b.catalogLog, catalog.EncodeDelete(ct))
		if err != nil && !errors.Is(err, ErrUnknown) {
			return fmt.Errorf("delete topic %s: %w", name, err)
		}
		unknown = err
	}
	b.drop(t)
	if err := t.partition.log.Close(); err != nil {
		b.options.Logger.Warn("closing the log of a deleted topic", slog.String("topic", name), slog.Any("error", err))
	}
	if t.ephemeral {
		return nil
	}
	err := unknown
	if err == nil {
		err = b.logs.Delete(LogID{Topic: t.id})
	}
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return nil
}

// removeEphemeralTopic drops an ephemeral topic whose last channel is gone.
func (b *Broker) removeEphemeralTopic(t *Topic) {
	b.drop(t)
	_ = t.partition.log.Close() // memory: it cannot fail
}

// drop takes a topic out of the registry and disconnects its consumers.
func (b *Broker) drop(t *Topic) {
	b.topics.Lock()
	if b.topics.byName[t.name] == t {
		delete(b.topics.byName, t.name)
	}
	b.topics.Unlock()
	b.changes.note()
	t.partition.close(ErrTopicNotFound)
}

// newTopicID draws an id that no topic ever had.
func newTopicID() uint64 {
	for {
		var raw [8]byte
		_, _ = rand.Read(raw[:]) // crypto/rand never fails: it ends the process instead
		if id := binary.BigEndian.Uint64(raw[:]); id != 0 {
			return id
		}
	}
}
