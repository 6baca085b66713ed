package broker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// catalogLog is the log of the catalog.
var catalogLog = LogID{Topic: 0, Partition: 0}

// catalogMachine is the state machine behind the catalog's log.
//
// Concurrency: mu guards the state.
type catalogMachine struct {
	logger *slog.Logger
	// changedC says that the registry may have to follow.
	changedC chan struct{}

	mu struct {
		sync.Mutex
		catalog  *catalog.Catalog
		applied  record.Index
		saved    record.Index // of the newest checkpoint
		failed   error
		arrivals arrivals
		// touched names the topics that were created or deleted since the registry looked last; all of them after a Restore.
		touched map[string]bool
		all     bool
	}
}

var _ Machine = (*catalogMachine)(nil)

// Apply implements Machine.
func (m *catalogMachine) Apply(e *record.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.applied = e.Index
	if e.Kind == record.KindControl {
		topic, err := m.mu.catalog.Apply(e.Payload)
		if err != nil && m.mu.failed == nil {
			m.mu.failed = err
		}
		if topic != "" {
			m.mu.touched[topic] = true
		}
	}
	m.mu.arrivals.reachedLocked(e.Index)
	m.signal()
}

// signal tells the registry.
func (m *catalogMachine) signal() {
	select {
	case m.changedC <- struct{}{}:
	default:
	}
}

// takeTouched returns the names of the topics that the registry must look at. Those that it cannot follow it touches again.
func (m *catalogMachine) takeTouched() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.all {
		m.mu.all = false
		for _, t := range m.mu.catalog.Topics() {
			m.mu.touched[t.Name] = true
		}
	}
	names := slices.Sorted(maps.Keys(m.mu.touched))
	clear(m.mu.touched)
	return names
}

func (m *catalogMachine) touch(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.touched[name] = true
}

// await waits until the catalog is applied up to index.
func (m *catalogMachine) await(ctx context.Context, index record.Index) error {
	return m.mu.arrivals.await(ctx, &m.mu.Mutex, &m.mu.applied, index)
}

// Restore implements Machine.
func (m *catalogMachine) Restore(state []byte, at record.Index) error {
	c, err := catalog.Decode(state)
	if err != nil {
		return fmt.Errorf("checkpoint of the catalog at %d: %w", at, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.mu.catalog.Topics() {
		m.mu.touched[t.Name] = true
	}
	m.mu.catalog, m.mu.all = c, true
	m.mu.applied, m.mu.saved = at, at
	m.mu.arrivals.reachedLocked(at)
	m.signal()
	return nil
}

// Lead implements Machine.
func (m *catalogMachine) Lead(bool) {}

// Failed implements Machine.
func (m *catalogMachine) Failed(err error) {
	m.mu.Lock()
	m.mu.failed = err
	m.mu.Unlock()
	m.logger.Error("catalog failed: topics can be neither created nor deleted; restart the node", slog.Any("error", err))
}

func (m *catalogMachine) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.failed
}

func (m *catalogMachine) topic(name string) (catalog.Topic, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.Topic(name)
}

// deleted reports whether the topic of that id was deleted lately.
func (m *catalogMachine) deleted(id uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.Deleted(id)
}

func (m *catalogMachine) topics() []catalog.Topic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.Topics()
}

func (m *catalogMachine) nodes() []catalog.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.Nodes()
}

func (m *catalogMachine) settings() catalog.Settings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.Settings()
}

// state encodes the catalog as applied.
func (m *catalogMachine) state() ([]byte, record.Index) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.AppendState(nil), m.mu.applied
}

// sinceCheckpoint returns how many entries were applied since the newest checkpoint.
func (m *catalogMachine) sinceCheckpoint() record.Index {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.applied - m.mu.saved
}

// checkpointed notes that a checkpoint as of entry at is stored.
func (m *catalogMachine) checkpointed(at record.Index) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.saved = at
}

// openCatalog opens the catalog's log, making it on a new node, and replays it.
func openCatalog(logs Logs, logger *slog.Logger) (*catalogMachine, Log, error) {
	m := &catalogMachine{logger: logger, changedC: make(chan struct{}, 1)}
	m.mu.catalog = catalog.New()
	m.mu.touched = make(map[string]bool)
	log, err := logs.Open(catalogLog, m)
	if err != nil {
		return nil, nil, fmt.Errorf("open catalog: %w", err)
	}
	state, at, err := log.Checkpoint()
	if err != nil {
		return nil, nil, fmt.Errorf("open catalog: %w", err)
	}
	if state != nil {
		if err := m.Restore(state, at); err != nil {
			return nil, nil, fmt.Errorf("open catalog: %w", err)
		}
	}
	if err := log.Start(at); err != nil {
		return nil, nil, fmt.Errorf("open catalog: %w", err)
	}
	if err := m.failure(); err != nil {
		return nil, nil, fmt.Errorf("open catalog: %w", err)
	}
	return m, log, nil
}
