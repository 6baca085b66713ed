package brokerlife

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/vfs"
)

// Patience is how long anything that waits for the broker waits.
const Patience = 10 * time.Second

// Reserve is the free space in bytes below which the broker refuses messages.
const Reserve = 32 << 10

// Life is one run of a broker with small segments, frequent checkpoints and no retention.
type Life struct {
	Broker *broker.Broker

	story *Story
	store *commitlog.Store
	logs  *replica.Logs
	subs  map[string]*consumer
}

// Open starts a broker. One of whose topics stands still is open; Broker.Healthy tells.
func (s *Story) Open(fsys vfs.FS, logger *slog.Logger) (*Life, error) {
	store, err := commitlog.OpenStore(commitlog.Options{
		FS: fsys, Dir: Dir, Logger: logger, MinSegmentBytes: 4 << 10, MaxSegmentBytes: 8 << 10, CacheBytes: 16 << 10,
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	l := &Life{story: s, store: store, subs: make(map[string]*consumer)}
	l.logs = replica.NewLogs(store, replica.Options{
		FS: fsys, Dir: Dir, Logger: logger, ReserveBytes: Reserve, WatchInterval: 20 * time.Millisecond,
	})
	l.Broker, err = broker.Open(&watchedLogs{l.logs, s}, broker.Options{
		Logger: logger, Retain: -1, KeepInterval: 30 * time.Millisecond, CheckpointBytes: 4 << 10,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open broker: %w", err), l.Close())
	}
	return l, nil
}

// Close ends the life: cleanly if the disk allows it.
func (l *Life) Close() error {
	var errs []error
	for _, c := range l.subs {
		c.sub.Close()
	}
	l.subs = nil
	if l.Broker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		errs = append(errs, l.Broker.Close(ctx))
		cancel()
	}
	l.logs.Close()
	return errors.Join(append(errs, l.store.Close())...)
}

// Publish sends a batch of n messages of size bytes to Topic. The answer goes to the story.
func (l *Life) Publish(n, size int, deferred time.Duration) error {
	topic, ok := l.Broker.Topic(Topic)
	if !ok {
		return fmt.Errorf("publish: %w", broker.ErrTopicNotFound)
	}
	topic.Publish(l.story.batch(n, size, deferred))
	return nil
}

// Change calls a change of the broker with a context that ends.
func Change(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return do(ctx)
}

// CreateChannels makes channels of a topic, and the topic if it is not there.
func (l *Life) CreateChannels(topic string, names ...string) error {
	return Change(func(ctx context.Context) error {
		t, err := l.Broker.CreateTopic(ctx, topic)
		for _, name := range names {
			if err == nil {
				_, err = t.CreateChannel(ctx, name)
			}
		}
		return err
	})
}
