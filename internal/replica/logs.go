package replica

import (
	"sync"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
)

// Logs opens the logs of a lone node. It implements broker.Logs.
type Logs struct {
	store *commitlog.Store
	space *Space
}

var _ broker.Logs = (*Logs)(nil)

// NewLogs serves the logs of a store. Close stops it; the store stays the caller's.
func NewLogs(store *commitlog.Store, options Options) *Logs {
	return &Logs{store: store, space: newSpace(options, store)}
}

// Close stops watching the disk. The logs must be closed before.
func (l *Logs) Close() { l.space.close() }

// Space returns the watch over the disk, for the other logs on it.
func (l *Logs) Space() *Space { return l.space }

// Create implements broker.Logs.
func (l *Logs) Create(id broker.LogID) error { return l.store.Create(commitlog.LogID(id)) }

// Delete implements broker.Logs.
func (l *Logs) Delete(id broker.LogID) error { return l.store.Delete(commitlog.LogID(id)) }

// List implements broker.Logs.
func (l *Logs) List() ([]broker.LogID, error) {
	ids, err := l.store.List()
	if err != nil {
		return nil, err
	}
	list := make([]broker.LogID, len(ids))
	for i, id := range ids {
		list[i] = broker.LogID(id)
	}
	return list, nil
}

// Open implements broker.Logs.
func (l *Logs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	return l.open(m, func(source commitlog.Source) (*commitlog.Log, error) {
		return l.store.Open(commitlog.LogID(id), source, commitlog.LogOptions{})
	})
}

// OpenReplica opens the log of a topic that a cluster has on this node alone: what commits is committed. It is made if it never was,
// and has a record among the votes, which tells a lost log from one that was never made.
func (l *Logs) OpenReplica(id broker.LogID, m broker.Machine, groups *Groups, replica uint64) (broker.Log, error) {
	return l.open(m, func(source commitlog.Source) (*commitlog.Log, error) { return groups.openDisk(id, source, replica) })
}

func (l *Logs) open(m broker.Machine, disk func(commitlog.Source) (*commitlog.Log, error)) (broker.Log, error) {
	log := &Log{space: l.space, machine: m}
	log.idle = sync.NewCond(&log.mu)
	opened, err := disk(log)
	if err != nil {
		return nil, err
	}
	log.disk.Store(opened)
	return log, nil
}

// Healthy implements broker.Logs.
func (l *Logs) Healthy() error { return l.space.Healthy() }

// Tight implements broker.Logs.
func (l *Logs) Tight() bool { return l.space.tight.Load() }
