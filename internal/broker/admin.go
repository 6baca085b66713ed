package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// CreateTopic returns the topic of that name, made if needed with the default placement; a durable one is in the catalog on
// return. Errors: ErrBadTopicName, ErrClosed, those of the log, ErrNoLeader, or the context's.
func (b *Broker) CreateTopic(ctx context.Context, name string) (*Topic, error) {
	return b.CreatePlaced(ctx, name, catalog.Wish{})
}

// CreatePlaced is CreateTopic with a wish for the placement, which a lone node has no use for. A topic that exists stays as it
// is.
func (b *Broker) CreatePlaced(ctx context.Context, name string, w catalog.Wish) (*Topic, error) {
	if t, ok := b.Topic(name); ok {
		return t, nil
	}
	switch {
	case !ValidTopicName(name):
		return nil, ErrBadTopicName
	case isEphemeral(name):
		return b.createEphemeral(ctx, name)
	}
	known := b.options.KnownChannels(ctx, name) // asked before any lock: it waits for the network
	var t *Topic
	var err error
	if b.options.Cluster == nil {
		t, err = b.createAlone(ctx, name, known)
	} else if t, err = b.createInCluster(ctx, name, w); err == nil {
		t.createKnown(ctx, known)
	}
	if err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	return t, nil
}

// shownWithin is how long a node of a cluster may take to show a topic that was created at another one.
const shownWithin = 250 * time.Millisecond

// FindTopic returns the topic of that name, or ErrTopicNotFound. In a cluster it waits a moment for one that is not here, which may have
// been created at another node just now.
func (b *Broker) FindTopic(ctx context.Context, name string) (*Topic, error) {
	t, ok := shown(ctx, b, func() (*Topic, bool) { return b.Topic(name) })
	if !ok {
		return nil, ErrTopicNotFound
	}
	return t, nil
}

// FindChannel does so for a channel: ErrChannelNotFound.
func (t *Topic) FindChannel(ctx context.Context, name string) (*Channel, error) {
	ch, ok := shown(ctx, t.broker, func() (*Channel, bool) { return t.Channel(name) })
	if !ok {
		return nil, ErrChannelNotFound
	}
	return ch, nil
}

// shown looks until something is found, a moment has passed, or ctx ends; on a lone node, once.
func shown[T any](ctx context.Context, b *Broker, find func() (T, bool)) (T, bool) {
	found, ok := find()
	for begun := time.Now(); !ok && b.options.Cluster != nil && time.Since(begun) < shownWithin && ctx.Err() == nil; found, ok = find() {
		time.Sleep(shownWithin / 50)
	}
	return found, ok
}

// createAlone makes the log, then the catalog entry, then opens the topic: a crash in between leaves an unclaimed log. The
// catalog decides which log is the topic's: that of an earlier creation, if its outcome was unknown and it is there after all.
func (b *Broker) createAlone(ctx context.Context, name string, known []string) (*Topic, error) {
	b.admin.Lock()
	defer b.admin.Unlock()
	if b.closed() {
		return nil, ErrClosed
	}
	if err := b.catalog.failure(); err != nil {
		return nil, err
	}
	if _, there := b.catalog.topic(name); !there {
		if err := b.createInCatalog(ctx, name); err != nil {
			return nil, err
		}
	}
	fresh := func(t *Topic) {
		if t.name == name {
			t.createKnown(ctx, known)
		}
	}
	if err := b.reconcileLocked(fresh); err != nil {
		if t, ok := b.Topic(name); ok {
			return t, nil
		}
		return nil, err
	}
	return b.usable(name)
}

// createKnown makes channels of a topic that is new, so that they get its first message.
func (t *Topic) createKnown(ctx context.Context, names []string) {
	for _, name := range names {
		if _, err := t.CreateChannel(ctx, name); err != nil {
			t.broker.options.Logger.Warn("a channel that the topic has elsewhere was not made; it begins when its first consumer comes",
				slog.String("topic", t.name), slog.String("channel", name), slog.Any("error", err))
		}
	}
}

// createInCatalog makes a log and proposes a topic for it. It deletes the log again if the catalog did not take it.
func (b *Broker) createInCatalog(ctx context.Context, name string) error {
	mine := catalog.Topic{Name: name, ID: newTopicID(), Partitions: 1}
	if err := b.logs.Create(LogID{Topic: mine.ID}); err != nil {
		return err
	}
	_, err := proposeAndWait(ctx, b.catalogLog, catalog.EncodeCreate(mine))
	if errors.Is(err, ErrUnknown) {
		return err // the log may be claimed yet
	}
	if ct, _ := b.catalog.topic(name); err != nil || ct.ID != mine.ID {
		err = errors.Join(err, b.logs.Delete(LogID{Topic: mine.ID}))
	}
	return err
}

// createInCluster places the topic on the nodes and waits until this one holds its replicas.
func (b *Broker) createInCluster(ctx context.Context, name string, w catalog.Wish) (*Topic, error) {
	if b.closed() {
		return nil, ErrClosed
	}
	var nodes []catalog.NodeID
	for _, n := range b.catalog.nodes() {
		nodes = append(nodes, n.ID)
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("the catalog knows no nodes yet: %w", ErrNoLeader)
	}
	defaults := b.catalog.settings()
	w.Partitions = cmp.Or(w.Partitions, defaults.Partitions)
	w.Replicas = cmp.Or(w.Replicas, defaults.Replicas)
	mine := catalog.Topic{Name: name, ID: newTopicID(), Local: w.Local}
	var err error
	if mine.Placement, err = catalog.Place(mine.ID, nodes, w); err != nil {
		return nil, err
	}
	mine.Partitions = uint16(len(mine.Placement))
	if err := b.changeCatalog(ctx, catalog.EncodeCreate(mine)); err != nil {
		return nil, err
	}
	return b.usable(name)
}

// changeCatalog has a command committed by the catalog's leader and waits until the registry of this node follows it.
func (b *Broker) changeCatalog(ctx context.Context, command []byte) error {
	ctx, cancel := context.WithTimeout(ctx, changeWait)
	defer cancel()
	index, err := b.options.Cluster.Change(ctx, catalogLog, command)
	if err != nil {
		return err
	}
	if err := b.catalog.await(ctx, index); err != nil {
		return fmt.Errorf("the catalog is not caught up here: %w: %w", ErrUnknown, err)
	}
	b.reconcile()
	return nil
}

// usable returns a topic that was just created.
func (b *Broker) usable(name string) (*Topic, error) {
	t, ok := b.Topic(name)
	switch {
	case ok:
		return t, nil
	case b.closed():
		return nil, ErrClosed
	}
	return nil, ErrTopicNotFound // deleted again, just now
}

func (b *Broker) createEphemeral(ctx context.Context, name string) (*Topic, error) {
	known := b.options.KnownChannels(ctx, name) // asked before any lock: it waits for the network
	b.admin.Lock()
	defer b.admin.Unlock()
	if t, ok := b.Topic(name); ok {
		return t, nil
	}
	if b.closed() {
		return nil, ErrClosed
	}
	t := newTopic(b, catalog.Topic{Name: name, ID: newTopicID(), Partitions: 1})
	part := t.parts[0]
	part.log = newMemLog(part, b.options.EphemeralMessages, b.options.EphemeralBytes)
	if err := part.log.Start(0); err != nil {
		return nil, err
	}
	t.createKnown(ctx, known)
	b.register(t)
	return t, nil
}

// DeleteTopic deletes a topic with its channels and messages, and disconnects its consumers. Durable on return. A lone node,
// once it has proposed it, waits whatever becomes of the context. Errors: ErrTopicNotFound, unless it was deleted just now, since
// the admin page asks each node in turn; ErrNoLeader; ErrUnknown: the topic goes if and when the catalog says so.
func (b *Broker) DeleteTopic(ctx context.Context, name string) error {
	t, ok := b.Topic(name)
	if !ok {
		return b.deleted.excuse(name, ErrTopicNotFound)
	}
	var err error
	switch {
	case t.ephemeral:
		b.removeEphemeralTopic(t)
	case b.options.Cluster == nil:
		err = b.deleteAlone(ctx, t)
	default:
		err = b.changeCatalog(ctx, catalog.EncodeDelete(t.catalogTopic()))
	}
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return nil
}

func (b *Broker) deleteAlone(ctx context.Context, t *Topic) error {
	b.admin.Lock()
	defer b.admin.Unlock()
	if now, ok := b.Topic(t.name); !ok || now != t {
		return ErrTopicNotFound
	}
	if _, err := proposeAndWait(context.WithoutCancel(ctx), b.catalogLog, catalog.EncodeDelete(t.catalogTopic())); err != nil {
		return err
	}
	return b.reconcileLocked(nil)
}

// catalogTopic returns the topic as a command names it.
func (t *Topic) catalogTopic() catalog.Topic {
	return catalog.Topic{Name: t.name, ID: t.id, Partitions: t.partitions}
}

// removeEphemeralTopic drops an ephemeral topic whose last channel is gone.
func (b *Broker) removeEphemeralTopic(t *Topic) {
	b.drop(t)
	_ = t.parts[0].log.Close() // memory: it cannot fail
}

// drop takes a topic out of the registry and disconnects its consumers.
func (b *Broker) drop(t *Topic) {
	b.topics.Lock()
	if b.topics.byName[t.name] == t {
		delete(b.topics.byName, t.name)
	}
	delete(b.topics.byID, t.id)
	b.topics.Unlock()
	t.gone.Store(true)
	for _, p := range t.parts {
		p.close(ErrTopicNotFound)
	}
	if len(t.parts) == 0 {
		t.dismiss(ErrTopicNotFound) // no channel does
	}
	b.changes.note()
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
