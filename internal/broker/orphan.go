package broker

import (
	"fmt"
	"log/slog"

	"github.com/weirmq/weir/internal/record"
)

// clearUnclaimed deletes the logs that no topic of a lone node claims, if a creation that was cut short left them, which are empty, or
// a deletion that the catalog remembers. Another one is an orphan: the catalog has lost what it knew of the topic, because it was
// damaged or an older copy was put in its place. Its messages were acknowledged, so it stays, and the node says that it is not well.
func (b *Broker) clearUnclaimed(unclaimed map[LogID]bool) error {
	for id := range unclaimed {
		if !b.catalog.deleted(id.Topic) && !b.isEmpty(id) {
			b.orphans = append(b.orphans, id)
			continue
		}
		b.options.Logger.Warn("deleting a log that no topic claims: the rest of a creation or deletion that was cut short", slog.Uint64("topic_id", id.Topic))
		if err := b.logs.Delete(id); err != nil {
			return fmt.Errorf("delete unclaimed log of topic %016x: %w", id.Topic, err)
		}
	}
	if err := b.orphaned(); err != nil {
		b.options.Logger.Error("the catalog has lost a topic", slog.Any("error", err))
	}
	return nil
}

// orphaned returns nil, or which logs no topic claims, and what to do.
func (b *Broker) orphaned() error {
	if len(b.orphans) == 0 {
		return nil
	}
	return fmt.Errorf("log %016x-%05d holds messages, and the catalog does not know its topic (logs without a topic: %d): "+
		"with the node stopped, restore the catalog's log from a backup, or move the log's directory away to give its messages up",
		b.orphans[0].Topic, b.orphans[0].Partition, len(b.orphans))
}

// isEmpty reports whether a log certainly has no messages.
func (b *Broker) isEmpty(id LogID) bool {
	log, err := b.logs.Open(id, ignoring{})
	if err != nil {
		return false
	}
	_, at, err := log.Checkpoint()
	if err == nil {
		err = log.Start(at)
	}
	_, end := log.Bounds()
	return log.Close() == nil && err == nil && end == 0
}

// ignoring is the machine of a log that is only looked at.
type ignoring struct{}

func (ignoring) Apply(*record.Entry)                {}
func (ignoring) Lead(bool)                          {}
func (ignoring) Restore([]byte, record.Index) error { return nil }
func (ignoring) Failed(error)                       {}
