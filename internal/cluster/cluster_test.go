package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster"
	"github.com/weirmq/weir/internal/cluster/peer"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/vfs"
)

// nodes is a cluster in one process, on real disks and real sockets.
type nodes struct {
	t       testing.TB
	sync    commitlog.SyncPolicy
	members []catalog.NodeID
	address map[catalog.NodeID]string
	dirs    map[catalog.NodeID]string
	up      map[catalog.NodeID]*node
	lives   uint32
}

type node struct {
	id      catalog.NodeID
	store   *commitlog.Store
	alone   *replica.Logs
	cluster *cluster.Cluster
	broker  *broker.Broker
	serving sync.WaitGroup
}

func startNodes(t testing.TB, n int, sync commitlog.SyncPolicy) *nodes {
	t.Helper()
	ns := &nodes{t: t, sync: sync, address: map[catalog.NodeID]string{}, dirs: map[catalog.NodeID]string{}, up: map[catalog.NodeID]*node{}}
	for i := range n {
		id := catalog.NodeID(i + 1)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ns.address[id] = ln.Addr().String()
		ln.Close()
		ns.members, ns.dirs[id] = append(ns.members, id), t.TempDir()
	}
	t.Cleanup(func() {
		for _, n := range ns.up {
			n.stop(t)
		}
	})
	for _, id := range ns.members {
		ns.start(id)
	}
	for _, id := range ns.members {
		ns.introduce(id)
	}
	return ns
}

// start opens a node.
func (ns *nodes) start(id catalog.NodeID) *node {
	ns.t.Helper()
	ns.lives++
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("WEIR_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id)
	}
	n := &node{id: id}
	var err error
	n.store, err = commitlog.OpenStore(commitlog.Options{FS: vfs.Disk(), Dir: ns.dirs[id], Sync: ns.sync, Logger: logger, CacheBytes: 16 << 20})
	ns.check(err)
	n.alone = replica.NewLogs(n.store, replica.Options{FS: vfs.Disk(), Dir: ns.dirs[id]})
	n.cluster, err = cluster.New(cluster.Options{Self: id, Members: ns.members, Store: n.store, FS: vfs.Disk(), Dir: ns.dirs[id], Alone: n.alone, Logger: logger,
		Peer: peer.Options{Self: id, ClusterID: 77, Life: peer.Life{Number: ns.lives, Nonce: uint64(ns.lives)}, Version: "test", Logger: logger}})
	ns.check(err)
	ln, err := net.Listen("tcp", ns.address[id])
	ns.check(err)
	n.serving.Go(func() { _ = n.cluster.Transport().Serve(ln) })
	n.cluster.Transport().SetPeers(ns.address)
	n.broker, err = broker.Open(n.cluster, broker.Options{Cluster: n.cluster, Logger: logger})
	ns.check(err)
	n.cluster.Serve(n.broker)
	ns.up[id] = n
	return n
}

func (ns *nodes) check(err error) {
	ns.t.Helper()
	if err != nil {
		ns.t.Fatal(err)
	}
}

// introduce tells the catalog of a node.
func (ns *nodes) introduce(id catalog.NodeID) {
	ns.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := ns.up[id].cluster.Change(ctx, broker.LogID{}, catalog.EncodeNode(catalog.Node{ID: id, Name: fmt.Sprint("n", id), Host: "127.0.0.1"}))
	ns.check(err)
}

func (n *node) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n.cluster.Handover(ctx)
	err := n.broker.Close(ctx)
	err = errors.Join(err, n.cluster.Close())
	n.alone.Close()
	if err = errors.Join(err, n.store.Close()); err != nil {
		t.Error(err)
	}
	n.serving.Wait()
}

// published waits for the outcome of one batch.
type published chan error

func (p published) Proposed(x *broker.Proposal) { p <- x.Err }

func publish(topic *broker.Topic, bodies ...string) error {
	var b record.Builder
	size := 0
	for _, body := range bodies {
		b.Append([]byte(body), 0)
		size += len(body)
	}
	done := make(published, 1)
	topic.Publish(&broker.Proposal{Payload: b.Finish(time.Now().UnixMilli()), Messages: len(bodies), BodyBytes: size, Owner: done})
	return <-done
}

// TestChangesReachPartitionsHeldElsewhere creates channels on five nodes, of which each holds three of five partitions; then again
// while one is down, whose partition others lead by then.
func TestChangesReachPartitionsHeldElsewhere(t *testing.T) {
	ns := startNodes(t, 5, commitlog.SyncOS)
	topic, err := ns.up[1].broker.CreateTopic(t.Context(), "orders")
	ns.check(err)
	_, err = topic.CreateChannel(t.Context(), "audit")
	ns.check(err)
	ns.up[2].stop(t)
	delete(ns.up, 2)
	_, err = topic.CreateChannel(t.Context(), "work")
	ns.check(err)
	ns.check(ns.up[1].broker.DeleteTopic(t.Context(), "orders"))
}

func TestAMessagePublishedAnywhereIsInTheCluster(t *testing.T) {
	ns := startNodes(t, 3, commitlog.SyncAlways)
	ctx := t.Context()
	topic, err := ns.up[1].broker.CreateTopic(ctx, "orders")
	ns.check(err)
	_, err = topic.CreateChannel(ctx, "audit")
	ns.check(err)
	begun := time.Now()
	for i := range 30 {
		for id, n := range ns.up {
			topic, err := n.broker.CreateTopic(ctx, "orders")
			ns.check(err)
			if err := publish(topic, fmt.Sprintf("m%d by %d", i, id)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("90 messages published in %v", time.Since(begun))
	var depth int64
	for _, n := range ns.up {
		for _, s := range n.broker.Stats("orders", "audit", false) {
			for _, c := range s.Channels {
				depth += int64(c.Depth)
			}
		}
	}
	if depth != 90 {
		t.Fatalf("the channel holds %d messages over all nodes, want 90", depth)
	}
}

func TestATopicCreatedAtOneNodeIsFoundAtAnother(t *testing.T) {
	ns := startNodes(t, 3, commitlog.SyncAlways)
	for i := range 20 {
		name := fmt.Sprint("t", i)
		_, err := ns.up[catalog.NodeID(1+i%3)].broker.CreateTopic(t.Context(), name)
		ns.check(err)
		if _, err := ns.up[catalog.NodeID(1+(i+1)%3)].broker.FindTopic(t.Context(), name); err != nil {
			t.Fatalf("topic %d: %v", i, err)
		}
	}
	if _, err := ns.up[1].broker.FindTopic(t.Context(), "never"); !errors.Is(err, broker.ErrTopicNotFound) {
		t.Fatal(err)
	}
}
