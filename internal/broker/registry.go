package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// follow lets the registry follow the catalog, whoever changed it, until the context ends.
func (b *Broker) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.catalog.changedC:
			b.reconcile()
		}
	}
}

// reconcile opens the topics that the catalog has and the registry has not, and drops those that the catalog has no more.
func (b *Broker) reconcile() {
	b.admin.Lock()
	defer b.admin.Unlock()
	if err := b.reconcileLocked(nil); err != nil && !errors.Is(err, ErrClosed) {
		b.options.Logger.Warn("a topic could not be opened, or its files not deleted", slog.Any("error", err))
	}
}

// reconcileLocked is reconcile for a caller that holds admin. Topics that it opens are given to fresh, unless it is nil, before
// anyone can publish to them here.
func (b *Broker) reconcileLocked(fresh func(*Topic)) error {
	if b.closed() {
		return ErrClosed
	}
	var errs []error
	for _, name := range b.catalog.takeTouched() {
		ct, wanted := b.catalog.topic(name)
		t, open := b.Topic(name)
		if open && (!wanted || t.id != ct.ID) {
			errs = append(errs, b.remove(t))
			open = false
		}
		if wanted && !open {
			errs = append(errs, b.openNew(ct, fresh))
		}
	}
	return errors.Join(errs...)
}

// openNew opens a topic that the catalog has got while the node runs. One that cannot be opened at all is tried again when it is
// asked for.
func (b *Broker) openNew(ct catalog.Topic, fresh func(*Topic)) error {
	t := b.openTopic(ct, false)
	if t.only() && t.parts[0].failure() != nil {
		b.catalog.touch(ct.Name)
		return t.parts[0].failure()
	}
	if fresh != nil {
		fresh(t)
	}
	b.register(t)
	return nil
}

// remove drops a topic that the catalog has no more, and deletes its logs.
func (b *Broker) remove(t *Topic) error {
	b.drop(t)
	if b.options.Cluster != nil {
		b.deleted.note(t.name)
	}
	var errs []error
	for _, p := range t.parts {
		if err := p.log.Close(); err != nil {
			b.options.Logger.Warn("closing the log of a deleted topic", slog.String("topic", t.name), slog.Any("error", err))
		}
		if err := b.logs.Delete(LogID{t.id, p.number}); err != nil {
			b.remains = b.options.Cluster == nil
			errs = append(errs, fmt.Errorf("delete the log of %s: %w", t.name, err))
		}
	}
	if c := b.options.Cluster; c != nil && !t.ephemeral {
		for number := range t.partitions {
			c.Displace(LogID{t.id, number})
		}
	}
	return errors.Join(errs...)
}

// sweep deletes the logs that no topic claimed when the node started, once this node's catalog certainly knows what was committed
// before: a topic was deleted while the node was away, or just when it stopped.
func (b *Broker) sweep(ctx context.Context) {
	for b.changeCatalog(ctx, catalog.EncodeBarrier()) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepPause):
		}
	}
	b.admin.Lock()
	defer b.admin.Unlock()
	for id := range b.unclaimed {
		if b.closed() || b.partition(id) != nil {
			continue
		}
		b.options.Logger.Info("deleting a replica whose topic is gone", slog.Uint64("topic_id", id.Topic), slog.Int("partition", int(id.Partition)))
		if err := b.logs.Delete(id); err != nil {
			b.options.Logger.Warn("replica of a deleted topic not deleted; the next start tries again", slog.Any("error", err))
		}
	}
}

// sweepPause is how long sweep waits before it asks the catalog's leader again.
const sweepPause = time.Second
