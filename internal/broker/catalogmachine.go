package broker

import (
	"fmt"
	"log/slog"
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

	mu struct {
		sync.Mutex
		catalog *catalog.Catalog
		applied record.Index
		saved   record.Index // of the newest checkpoint
		failed  error
	}
}

var _ Machine = (*catalogMachine)(nil)

// Apply implements Machine.
func (m *catalogMachine) Apply(e *record.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.applied = e.Index
	if e.Kind != record.KindControl {
		return
	}
	if err := m.mu.catalog.Apply(e.Payload); err != nil && m.mu.failed == nil {
		m.mu.failed = err
	}
}

// Restore implements Machine.
func (m *catalogMachine) Restore(state []byte, at record.Index) error {
	c, err := catalog.Decode(state)
	if err != nil {
		return fmt.Errorf("checkpoint of the catalog at %d: %w", at, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.catalog = c
	m.mu.applied, m.mu.saved = at, at
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

func (m *catalogMachine) topics() []catalog.Topic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.catalog.Topics()
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
	m := &catalogMachine{logger: logger}
	m.mu.catalog = catalog.New()
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
