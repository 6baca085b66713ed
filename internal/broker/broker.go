package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/queue"
)

// Broker is one node's topics.
//
// Concurrency: topics guards the registry and is held for lookups only; admin serialises what makes the registry follow the
// catalog, which waits for the disk, and on a lone node the creating and deleting of topics as a whole.
type Broker struct {
	options    Options
	logs       Logs
	catalog    *catalogMachine
	catalogLog Log
	budget     *budget
	flusher    *flusher
	router     *router
	changes    changes
	deleted    deletions
	unclaimed  map[LogID]bool // in a cluster: logs that were here at the start and whose topics the catalog did not have then
	orphans    []LogID        // on a lone node: logs with messages that no topic claims; set by Open
	remains    bool           // on a lone node: a deleted topic's log could not be deleted; guarded by admin
	squeeze    squeeze        // the keeper's
	yielded    atomic.Int64   // bytes of finished messages that went early, see Yielded
	started    time.Time      // origin of monotonic time

	admin  sync.Mutex
	topics struct {
		sync.RWMutex
		byName map[string]*Topic
		byID   map[uint64]*Topic
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
	b.router = newRouter(b)
	b.topics.byName = make(map[string]*Topic)
	b.topics.byID = make(map[uint64]*Topic)
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
	b.runs.Go(func() { b.router.run(ctx) })
	b.runs.Go(func() { b.follow(ctx) })
	if len(b.unclaimed) > 0 {
		b.runs.Go(func() { b.sweep(ctx) })
	}
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
		if len(ids) > 0 && b.options.Cluster == nil {
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

// openTopics opens the logs of each topic in the catalog, and on a lone node deletes those of a creation or deletion that a crash cut
// short. A topic whose log is damaged stands still, and the others serve. In a cluster the
// catalog, as far as it is known now, may be behind the logs.
func (b *Broker) openTopics(present map[LogID]bool) error {
	lone := b.options.Cluster == nil
	_ = b.catalog.takeTouched()
	all := b.catalog.topics()
	missing := make(map[uint64]bool)
	for _, ct := range all {
		missing[ct.ID] = lone && !present[LogID{Topic: ct.ID}]
		for n := range ct.Partitions {
			delete(present, LogID{ct.ID, n})
		}
	}
	_ = inParallel(all, func(ct catalog.Topic) error {
		b.register(b.openTopic(ct, missing[ct.ID]))
		return nil
	})
	if !lone {
		b.unclaimed = present
		return nil
	}
	return b.clearUnclaimed(present)
}

// openTopic opens the replicas of a topic that this node holds, and tells the cluster who holds each, that other partitions' leaders are
// found too. A replica that cannot be opened stands still.
func (b *Broker) openTopic(ct catalog.Topic, missing bool) *Topic {
	t := newTopic(b, ct)
	if c := b.options.Cluster; c != nil && !t.ephemeral {
		for i, at := range ct.Placement {
			c.Place(LogID{ct.ID, uint16(i)}, at, ct.Local)
		}
	}
	for _, p := range t.parts {
		var err error
		if missing {
			err = fmt.Errorf("the log of topic %s is missing: restore the data directory from a backup", ct.Name)
		} else {
			err = b.openPartition(p, ct)
		}
		if err != nil {
			p.log = failedLog{fmt.Errorf("%w: %w", ErrFailed, err)}
			p.Failed(err)
		}
	}
	return t
}

func (b *Broker) openPartition(p *partition, ct catalog.Topic) error {
	if err := p.open(b.logs, LogID{ct.ID, p.number}); err != nil {
		return fmt.Errorf("open topic %s: %w", ct.Name, err)
	}
	return nil
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
	b.topics.byID[t.id] = t
	b.topics.Unlock()
	b.changes.note()
}

// partition returns this node's replica of a partition, nil if it has none.
func (b *Broker) partition(id LogID) *partition {
	b.topics.RLock()
	t := b.topics.byID[id.Topic]
	b.topics.RUnlock()
	if t == nil {
		return nil
	}
	return t.replica(id.Partition)
}

// allPartitions returns the replicas of this node.
func (b *Broker) allPartitions() []*partition {
	var all []*partition
	for _, t := range b.Topics() {
		all = append(all, t.parts...)
	}
	return all
}

// Nodes returns the nodes that the catalog knows, sorted by id.
func (b *Broker) Nodes() []catalog.Node { return b.catalog.nodes() }

// Placements returns the topics that the catalog knows, sorted by name.
func (b *Broker) Placements() []catalog.Topic { return b.catalog.topics() }

// Healthy returns nil, or why the node should not be trusted with more messages. A replica of a cluster's node that stands still is no reason: others
// lead its partition, and the node passes on what is published to it.
func (b *Broker) Healthy() error {
	if err := b.catalog.failure(); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if err := b.orphaned(); err != nil {
		return err
	}
	for _, p := range b.allPartitions() {
		if err := p.failure(); err != nil && (b.options.Cluster == nil || p.topic.ephemeral) {
			return fmt.Errorf("topic %s: %w", p.topic.name, err)
		}
	}
	return b.logs.Healthy()
}

// Close records all progress, writes a checkpoint of each partition and closes the logs. Subscriptions must be closed before:
// what they still have in flight is not recorded. When the context ends first, what is left is closed without a checkpoint.
func (b *Broker) Close(ctx context.Context) error {
	b.topics.Lock()
	b.topics.closed = true
	b.topics.Unlock()
	b.admin.Lock()
	b.admin.Unlock() //lint:ignore SA2001 who opened something has ended now, and nothing is opened any more
	b.stop()
	b.runs.Wait()
	b.admin.Lock()
	defer b.admin.Unlock()
	topics := inParallel(b.allPartitions(), func(p *partition) error { return p.shut(ctx) })
	return errors.Join(topics, b.checkpointCatalogLocked(), b.catalogLog.Close())
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
