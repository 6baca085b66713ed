package raftspike

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/vfs"
)

// Payloads says where the payload of an entry is while Raft has the entry.
type Payloads bool

const (
	// InEntry puts the payload into Entry.Data, as replication needs it.
	InEntry Payloads = false
	// Beside keeps the payload out of Raft, which is then spared a copy, but counts none of its bytes. It is possible
	// only as long as no entry leaves the node.
	Beside Payloads = true
)

// Options configure Logs.
type Options struct {
	// FS and Dir say where the hard states lie.
	FS  vfs.FS
	Dir string
	// Payloads is where payloads are. Default InEntry.
	Payloads Payloads
}

// Logs opens logs that are Raft groups of one voter. It implements broker.Logs.
type Logs struct {
	store   *commitlog.Store
	options Options
}

var _ broker.Logs = (*Logs)(nil)

// NewLogs serves the logs of a store, which stays the caller's.
func NewLogs(store *commitlog.Store, options Options) (*Logs, error) {
	if err := options.FS.MkdirAll(options.Dir); err != nil {
		return nil, err
	}
	if err := options.FS.SyncDir(path.Dir(options.Dir)); err != nil {
		return nil, err
	}
	return &Logs{store: store, options: options}, nil
}

// Create implements broker.Logs.
func (l *Logs) Create(id broker.LogID) error { return l.store.Create(commitlog.LogID(id)) }

// Delete implements broker.Logs.
func (l *Logs) Delete(id broker.LogID) error {
	if err := l.store.Delete(commitlog.LogID(id)); err != nil {
		return err
	}
	err := l.options.FS.Remove(l.hardStateName(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements broker.Logs.
func (l *Logs) List() ([]broker.LogID, error) {
	ids, err := l.store.List()
	list := make([]broker.LogID, 0, len(ids))
	for _, id := range ids {
		list = append(list, broker.LogID(id))
	}
	return list, err
}

// Healthy implements broker.Logs. The spike does not watch the disk.
func (l *Logs) Healthy() error { return nil }

// Open implements broker.Logs.
func (l *Logs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log := &Log{machine: m, logs: l, hardStateName: l.hardStateName(id), ledC: make(chan error, 1)}
	log.idle = sync.NewCond(&log.mu)
	var err error
	if log.store, err = l.store.Open(commitlog.LogID(id), log, commitlog.LogOptions{}); err != nil {
		return nil, err
	}
	return log, nil
}

func (l *Logs) hardStateName(id broker.LogID) string {
	return path.Join(l.options.Dir, fmt.Sprintf("%016x-%05d.hardstate", id.Topic, id.Partition))
}
