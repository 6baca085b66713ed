package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/queue"
)

// Broker is one node's topics.
//
// Concurrency: topics guards the registry and is held for lookups only; admin serialises creating and deleting topics, which
// wait for the disk.
type Broker struct {
	options    Options
	logs       Logs
	catalog    *catalogMachine
	catalogLog Log
	budget     *budget
	flusher    *flusher
	changes    changes
	started    time.Time // origin of monotonic time

	admin  sync.Mutex
	topics struct {
		sync.RWMutex
		byName map[string]*Topic
		closed bool
	}

	stop context.CancelFunc // ends flusher and keeper
	runs sync.WaitGroup
}

// Open recovers the topics of a node from its logs. On a new node it creates the catalog. Errors name what is damaged.
func Open(logs Logs, options Options) (*Broker, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("broker options: %w", err)
	}
	options.setDefaults()
	b := &Broker{options: options, logs: logs, changes: make(changes, 1), started: time.Now()}
	b.budget = newBudget(options.PublishBytes)
	b.flusher = newFlusher(options.FlushInterval)
	b.topics.byName = make(map[string]*Topic)
	present, err := b.openCatalog()
	if err != nil {
		return nil, err
	}
	if err := b.openTopics(present); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.runs.Go(func() { b.flusher.run(ctx) })
	b.runs.Go(func() { b.keep(ctx) })
	return b, nil
}

// openCatalog opens or makes the catalog and returns the other logs that exist.
func (b *Broker) openCatalog() (map[LogID]bool, error) {
	ids, err := b.logs.List()
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	present := make(map[LogID]bool, len(ids))
	for _, id := range ids {
		present[id] = true
	}
	if !present[catalogLog] {
		if len(ids) > 0 {
			return nil, fmt.Errorf("the catalog's log is missing, but %d topic logs are there: restore it, or move the data directory aside", len(ids))
		}
		if err := b.logs.Create(catalogLog); err != nil {
			return nil, fmt.Errorf("create catalog: %w", err)
		}
	}
	delete(present, catalogLog)
	b.catalog, b.catalogLog, err = openCatalog(b.logs, b.options.Logger)
	return present, err
}

// openTopics opens the log of each topic in the catalog, and deletes logs that no topic claims: those of a creation or
// deletion that a crash cut short. A topic whose log is damaged stands still, and the others serve.
func (b *Broker) openTopics(present map[LogID]bool) error {
	all := b.catalog.topics()
	missing := make(map[uint64]bool)
	for _, ct := range all {
		id := LogID{Topic: ct.ID}
		missing[ct.ID] = !present[id]
		delete(present, id)
	}
	_ = inParallel(all, func(ct catalog.Topic) error {
		t, err := b.openTopic(ct, missing[ct.ID])
		if err != nil {
			t = newTopic(b, ct.Name, ct.ID)
			t.partition.log = failedLog{fmt.Errorf("%w: %w", ErrFailed, err)}
			t.partition.Failed(err)
		}
		b.register(t)
		return nil
	})
	for id := range present {
		b.options.Logger.Warn("deleting a log that no topic claims: the rest of a creation or deletion that was cut short", slog.Uint64("topic_id", id.Topic))
		if err := b.logs.Delete(id); err != nil {
			return fmt.Errorf("delete unclaimed log of topic %016x: %w", id.Topic, err)
		}
	}
	return nil
}

func (b *Broker) openTopic(ct catalog.Topic, missing bool) (*Topic, error) {
	if missing {
		return nil, fmt.Errorf("the log of topic %s is missing: restore the data directory from a backup", ct.Name)
	}
	t := newTopic(b, ct.Name, ct.ID)
	if err := t.partition.open(b.logs, LogID{Topic: ct.ID}); err != nil {
		return nil, fmt.Errorf("open topic %s: %w", ct.Name, err)
	}
	return t, nil
}

// Topic returns the topic of that name.
func (b *Broker) Topic(name string) (*Topic, bool) {
	b.topics.RLock()
	defer b.topics.RUnlock()
	t, ok := b.topics.byName[name]
	return t, ok
}

// Topics returns all topics, sorted by name.
func (b *Broker) Topics() []*Topic {
	b.topics.RLock()
	list := make([]*Topic, 0, len(b.topics.byName))
	for _, t := range b.topics.byName {
		list = append(list, t)
	}
	b.topics.RUnlock()
	slices.SortFunc(list, func(x, y *Topic) int { return cmp.Compare(x.name, y.name) })
	return list
}

// register puts a topic into the registry.
func (b *Broker) register(t *Topic) {
	b.topics.Lock()
	b.topics.byName[t.name] = t
	b.topics.Unlock()
	b.changes.note()
}

// Healthy returns nil, or why the node should not be trusted with more messages.
func (b *Broker) Healthy() error {
	if err := b.catalog.failure(); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	for _, t := range b.Topics() {
		if err := t.partition.failure(); err != nil {
			return fmt.Errorf("topic %s: %w", t.name, err)
		}
	}
	return b.logs.Healthy()
}

// Close records all progress, writes a checkpoint of each partition and closes the logs. Subscriptions must be closed before:
// what they still have in flight is not recorded. When the context ends first, what is left is closed without a checkpoint.
func (b *Broker) Close(ctx context.Context) error {
	b.admin.Lock()
	defer b.admin.Unlock()
	b.topics.Lock()
	b.topics.closed = true
	b.topics.Unlock()
	b.stop()
	b.runs.Wait()
	topics := inParallel(b.Topics(), func(t *Topic) error { return t.partition.shut(ctx) })
	return errors.Join(topics, b.checkpointCatalog(), b.catalogLog.Close())
}

func (b *Broker) closed() bool {
	b.topics.RLock()
	defer b.topics.RUnlock()
	return b.topics.closed
}

// now reads the clocks: monotonic time for timeouts, wall time for due times.
func (b *Broker) now() queue.Now {
	t := time.Now()
	return queue.Now{Mono: int64(t.Sub(b.started)) + 1, Wall: t.UnixNano()}
}

func (b *Broker) queueOptions() queue.Options {
	return queue.Options{
		MaxUnfinished: b.options.MaxUnfinished,
		MaxMsgTimeout: b.options.MaxMsgTimeout,
		Rand:          mathrand.Uint32,
	}
}

// isFinal reports that a log takes nothing more in this life of the node.
func isFinal(err error) bool { return errors.Is(err, ErrClosed) || errors.Is(err, ErrFailed) }
