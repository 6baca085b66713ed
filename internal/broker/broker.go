package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
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
	b := &Broker{options: options, logs: logs, started: time.Now()}
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
// deletion that a crash cut short.
func (b *Broker) openTopics(present map[LogID]bool) error {
	all := b.catalog.topics()
	for _, ct := range all {
		id := LogID{Topic: ct.ID}
		if !present[id] {
			return fmt.Errorf("topic %s: its log is missing: restore the data directory from a backup", ct.Name)
		}
		delete(present, id)
	}
	err := inParallel(all, func(ct catalog.Topic) error {
		t, err := b.openTopic(ct)
		if err == nil {
			b.register(t)
		}
		return err
	})
	if err != nil {
		return err
	}
	for id := range present {
		b.options.Logger.Info("deleting a log that no topic claims", slog.Uint64("topic_id", id.Topic))
		if err := b.logs.Delete(id); err != nil {
			return fmt.Errorf("delete unclaimed log of topic %016x: %w", id.Topic, err)
		}
	}
	return nil
}

func (b *Broker) openTopic(ct catalog.Topic) (*Topic, error) {
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
	t, err := b.openTopic(ct)
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
	t.partition.log = newMemLog(t.partition, b.options.EphemeralMessages)
	if err := t.partition.log.Start(0); err != nil {
		return nil, err
	}
	b.register(t)
	return t, nil
}

func (b *Broker) register(t *Topic) {
	b.topics.Lock()
	b.topics.byName[t.name] = t
	b.topics.Unlock()
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

// isFinal reports that a log takes nothing more in this life of the node.
func isFinal(err error) bool { return errors.Is(err, ErrClosed) || errors.Is(err, ErrFailed) }
