package broker

import (
	"context"
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
		for _, t := range b.Topics() {
			if ctx.Err() != nil {
				return
			}
			t.partition.keep()
		}
	}
}

// keep does what is due for one partition. Its errors are logged: the next round tries again, and the log tells by itself when
// it has failed for good.
func (p *partition) keep() {
	if p.topic.ephemeral || p.failure() != nil {
		return
	}
	logger := p.broker.options.Logger
	if p.sinceCheckpoint.Load() >= p.broker.options.CheckpointBytes {
		if err := p.checkpoint(); err != nil && !isFinal(err) {
			logger.Warn("checkpoint not written; the next start replays more of the log", slog.String("topic", p.topic.name), slog.Any("error", err))
			return
		}
	}
	if err := p.retain(time.Now()); err != nil && !isFinal(err) {
		logger.Warn("finished segments not deleted", slog.String("topic", p.topic.name), slog.Any("error", err))
	}
}

func (b *Broker) checkpointCatalog() error {
	state, at := b.catalog.state()
	if at == 0 || b.catalog.failure() != nil {
		return nil
	}
	return b.catalogLog.SaveCheckpoint(state, at)
}
