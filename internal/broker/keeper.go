package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// keep writes checkpoints and deletes what retention allows, until the context ends.
func (b *Broker) keep(ctx context.Context) {
	tick := time.NewTicker(b.options.KeepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		partitions := b.allPartitions()
		kept := b.yield(partitions, time.Now())
		for _, p := range partitions {
			if ctx.Err() != nil {
				return
			}
			p.keep(ctx, kept)
		}
		b.keepCatalog()
	}
}

// catalogEntriesMax is how many entries may follow the catalog's checkpoint before the next one is written.
const catalogEntriesMax = 1000

// keepCatalog bounds the catalog's log where topics come and go.
func (b *Broker) keepCatalog() {
	if b.catalog.failure() != nil || b.catalog.sinceCheckpoint() < catalogEntriesMax {
		return
	}
	b.admin.Lock()
	defer b.admin.Unlock()
	err := b.checkpointCatalogLocked()
	if err == nil {
		err = b.catalogLog.Trim(0) // it holds no messages: what the checkpoints cover may go
	}
	if err != nil && !isFinal(err) {
		b.options.Logger.Warn("checkpoint of the catalog not written", slog.Any("error", err))
	}
}

// keep does what is due for one partition; finished messages are kept for so long. Its errors are logged, the first of a row: the
// next round tries again, and the log tells by itself when it has failed for good.
func (p *partition) keep(ctx context.Context, kept time.Duration) {
	if p.topic.ephemeral || p.failure() != nil {
		return
	}
	text, err := "checkpoint not written; the next start replays more of the log", error(nil)
	if p.sinceCheckpoint.Load() >= p.broker.options.CheckpointBytes {
		err = p.checkpoint()
	}
	if err == nil {
		text, err = "finished segments not deleted", p.retain(ctx, time.Now(), kept)
	}
	if err != nil && !isFinal(err) && ctx.Err() == nil && !p.keepFailed {
		p.broker.options.Logger.Warn(text, slog.String("topic", p.topic.name), slog.Any("error", err))
	}
	p.keepFailed = err != nil
}

// checkpointCatalogLocked stores the catalog as applied, if it has changed: but not between the deletion of a topic and that of its
// log, since a checkpoint does not tell which topics were deleted. The caller holds admin.
func (b *Broker) checkpointCatalogLocked() error {
	if b.catalog.failure() != nil || b.catalog.sinceCheckpoint() == 0 || b.remains {
		return nil
	}
	state, at := b.catalog.state()
	if err := b.catalogLog.SaveCheckpoint(state, at); err != nil {
		return fmt.Errorf("checkpoint of the catalog at %d: %w", at, err)
	}
	b.catalog.checkpointed(at)
	return nil
}
