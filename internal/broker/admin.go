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
	b.admin.Lock()
	defer b.admin.Unlock()
	if t, ok := b.Topic(name); ok {
		return t, nil
	}
	if b.closed() {
		return nil, ErrClosed
	}
	if isEphemeral(name) {
		return b.createEphemeral(name)
	}
	t, err := b.createDurable(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	return t, nil
}

// createDurable makes the log, then the catalog entry, then opens the topic: a crash in between leaves an unclaimed log. The
// catalog decides which log is the topic's: that of an earlier creation, if its outcome was unknown and it is there after all.
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
	t, err := b.openTopic(ct, false)
	if err != nil {
		return nil, err
	}
	b.register(t)
	return t, nil
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

func (b *Broker) createEphemeral(name string) (*Topic, error) {
	t := newTopic(b, name, newTopicID())
	t.partition.log = newMemLog(t.partition, b.options.EphemeralMessages, b.options.EphemeralBytes)
	if err := t.partition.log.Start(0); err != nil {
		return nil, err
	}
	b.register(t)
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
