package broker

import (
	"log/slog"
	"time"
)

// Yielding: where the disk's space runs low, what is finished and kept only for replay gives way, the oldest of all topics first, before
// messages have to be refused. A queue that stands still because it keeps what nobody waits for would serve nobody.

// yieldRounds is in how many rounds of the keeper all that is kept only for replay goes, if space stays low.
const yieldRounds = 8

// squeeze is a time of tight space, as the keeper sees it.
type squeeze struct {
	rounds int   // of the keeper so far; 0 while there is space
	before int64 // what was Yielded when it began
}

// yield returns how long finished messages are kept in this round; negative: not at all. It belongs to the keeper.
func (b *Broker) yield(partitions []*partition, now time.Time) time.Duration {
	retain := b.options.Retain
	if retain < 0 {
		return retain
	}
	if !b.logs.Tight() {
		if b.squeeze.rounds > 0 {
			b.options.Logger.Info("disk has space again: finished messages are kept for replay as configured",
				slog.Int64("deleted_early_bytes", b.yielded.Load()-b.squeeze.before))
		}
		b.squeeze = squeeze{}
		return retain
	}
	if b.squeeze.rounds == 0 {
		b.squeeze.before = b.yielded.Load()
		b.options.Logger.Warn("disk fills up: finished messages that are kept for replay are deleted early, the oldest first; free some space, or "+
			"lower --retain or --retain-bytes", slog.Duration("retain", retain))
	}
	b.squeeze.rounds++
	if b.squeeze.rounds >= yieldRounds {
		return -1
	}
	return min(retain, oldest(partitions, now)) / yieldRounds * time.Duration(yieldRounds-b.squeeze.rounds)
}

// oldest returns the age of the oldest segment.
func oldest(partitions []*partition, now time.Time) (age time.Duration) {
	for _, p := range partitions {
		if p.topic.ephemeral || p.failure() != nil {
			continue
		}
		if segments := p.log.Segments(); len(segments) > 0 && segments[0].LastTime > 0 {
			age = max(age, now.Sub(time.Unix(0, segments[0].LastTime)))
		}
	}
	return age
}

// Yielded returns the bytes of finished messages that were deleted before their time since the start, because the disk's space ran low.
func (b *Broker) Yielded() int64 { return b.yielded.Load() }
