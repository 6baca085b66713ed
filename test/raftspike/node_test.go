package raftspike_test

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/test/raftspike"
)

// kind is one way to have the logs of a lone node.
type kind string

const (
	lone       kind = "lone"        // package replica: no Raft
	raft       kind = "raft"        // one voter, payloads in the raft entries
	raftBeside kind = "raft-beside" // one voter, payloads kept out of Raft
)

// node is logs over a store of their own.
type node struct {
	broker.Logs
	close func() error
}

// openNode opens a store and logs of that kind over it.
func openNode(k kind, fsys vfs.FS, dir string, sync commitlog.SyncPolicy) (*node, error) {
	store, err := commitlog.OpenStore(commitlog.Options{
		FS: fsys, Dir: dir, Logger: slog.New(slog.DiscardHandler), Sync: sync,
	})
	if err != nil {
		return nil, err
	}
	if k == lone {
		logs := replica.NewLogs(store, replica.Options{FS: fsys, Dir: dir})
		return &node{logs, func() error { logs.Close(); return store.Close() }}, nil
	}
	o := raftspike.Options{FS: fsys, Dir: path.Join(dir, "raft")}
	if k == raftBeside {
		o.Payloads = raftspike.Beside
	}
	logs, err := raftspike.NewLogs(store, o)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &node{logs, store.Close}, nil
}

func mustOpen(t testing.TB, k kind, fsys vfs.FS, dir string, sync commitlog.SyncPolicy) *node {
	t.Helper()
	n, err := openNode(k, fsys, dir, sync)
	if err != nil {
		t.Fatal(fmt.Errorf("open a %s node: %w", k, err))
	}
	return n
}
