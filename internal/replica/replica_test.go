package replica_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

// node is a store and the logs over it, as one life of a node has them.
type node struct {
	*replica.Logs
	store *commitlog.Store
	fs    vfs.FS
	dir   string
	sync  commitlog.SyncPolicy
}

func open(t *testing.T, fsys vfs.FS, dir string, sync commitlog.SyncPolicy) *node {
	t.Helper()
	store, err := commitlog.OpenStore(commitlog.Options{FS: fsys, Dir: dir, Sync: sync, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	logs := replica.NewLogs(store, replica.Options{FS: fsys, Dir: dir, ReserveBytes: 1 << 20, WatchInterval: 10 * time.Millisecond})
	n := &node{logs, store, fsys, dir, sync}
	t.Cleanup(n.close)
	return n
}

func (n *node) close() {
	if n.store == nil {
		return
	}
	n.Logs.Close()
	_ = n.store.Close()
	n.store = nil
}

func TestLoneLogKeepsTheContract(t *testing.T) {
	for _, sync := range []commitlog.SyncPolicy{commitlog.SyncAlways, commitlog.SyncOS, commitlog.SyncEvery(20 * time.Millisecond)} {
		t.Run(sync.String(), func(t *testing.T) {
			logtest.Run(t, logtest.Config{
				New: func(t *testing.T) broker.Logs { return open(t, vfs.Disk(), t.TempDir(), sync) },
				Reopen: func(t *testing.T, old broker.Logs) broker.Logs {
					n := old.(*node)
					n.close()
					return open(t, n.fs, n.dir, n.sync)
				},
			})
		})
	}
}

// start opens one log with a recording machine.
func start(t *testing.T, n *node) (broker.Log, *logtest.Recorder) {
	t.Helper()
	id := broker.LogID{Topic: 7}
	if err := n.Create(id); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	m := logtest.NewRecorder()
	l, err := n.Open(id, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	return l, m
}

func TestSmallBatchesThatWaitTogetherAreMerged(t *testing.T) {
	n := open(t, vfs.Disk(), t.TempDir(), commitlog.SyncAlways)
	l, m := start(t, n)
	var waiters []*logtest.Waiter
	for range 500 {
		waiters = append(waiters, logtest.Propose(l, m, record.KindBatch, logtest.Batch([]byte("x"))))
	}
	for i, w := range waiters {
		if p := w.Outcome(t); p.Err != nil || p.Base != record.Offset(i) {
			t.Fatalf("message %d got offset %d, %v", i, p.Base, p.Err)
		}
	}
	if entries := len(m.Entries()); entries >= 500 {
		t.Errorf("%d entries for 500 small batches: nothing was merged", entries)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	fault := vfs.NewFault(vfs.Disk())
	n := open(t, fault, t.TempDir(), commitlog.SyncAlways)
	l, m := start(t, n)
	if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch([]byte("before"))).Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	fault.Add(vfs.Rule{Op: vfs.OpSync, Err: syscall.EIO})
	if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch([]byte("during"))).Outcome(t); !errors.Is(p.Err, broker.ErrUnknown) {
		t.Fatalf("a batch whose sync failed: %v, want ErrUnknown", p.Err)
	}
	if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch([]byte("after"))).Outcome(t); !errors.Is(p.Err, broker.ErrFailed) {
		t.Fatalf("a batch after it: %v, want ErrFailed", p.Err)
	}
	if m.Failure() == nil {
		t.Error("the machine was not told")
	}
	if got := len(m.Entries()); got != 1 {
		t.Errorf("%d entries applied, want the one before", got)
	}
}

func TestLowSpaceRefusesMessagesAndTakesProgress(t *testing.T) {
	disk := vfs.NewMem(1)
	disk.SetCapacity(64 << 20)
	n := open(t, disk, "/data", commitlog.SyncAlways)
	l, m := start(t, n)
	if n.Tight() {
		t.Error("space is tight on an empty disk")
	}
	disk.SetCapacity(3 << 20) // below four reserves
	eventually(t, n.Tight)
	if err := n.Healthy(); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(512 << 10) // below the reserve of 1 MiB
	eventually(t, func() bool { return n.Healthy() != nil })
	if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch([]byte("x"))).Outcome(t); !errors.Is(p.Err, broker.ErrFull) {
		t.Fatalf("a message: %v, want ErrFull", p.Err)
	}
	if p := logtest.Propose(l, m, record.KindControl, []byte{1}).Outcome(t); p.Err != nil {
		t.Fatalf("progress: %v", p.Err)
	}
	disk.SetCapacity(64 << 20)
	eventually(t, func() bool { return n.Healthy() == nil })
	if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch([]byte("x"))).Outcome(t); p.Err != nil {
		t.Fatalf("a message after space is back: %v", p.Err)
	}
}

// Files kept to be written over hold nothing: messages that can be replayed give way only if that is not enough, and from then on
// until there is clearly enough.
func TestEmptyFilesGiveWayBeforeReplay(t *testing.T) {
	const reserve, capacity = 64 << 10, 16 << 20
	disk := vfs.NewMem(1)
	disk.SetCapacity(capacity)
	store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: "/data", Logger: slog.New(slog.DiscardHandler),
		MinSegmentBytes: 32 << 10, MaxSegmentBytes: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	options := replica.Options{FS: disk, Dir: "/data", ReserveBytes: reserve, WatchInterval: 10 * time.Millisecond}
	n := &node{replica.NewLogs(store, options), store, disk, "/data", commitlog.SyncAlways}
	t.Cleanup(n.close)
	l, m := start(t, n)
	for range 64 {
		if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch(make([]byte, 8<<10))).Outcome(t); p.Err != nil {
			t.Fatal(p.Err)
		}
	}
	for range 2 {
		if err := l.SaveCheckpoint([]byte("state"), m.Last()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(64); err != nil {
		t.Fatal(err)
	}
	kept := func() (bytes int64) {
		names, err := disk.ReadDir("/data/trash")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := disk.Stat("/data/trash/" + name); err == nil {
				bytes += info.Size
			}
		}
		return bytes
	}
	free := func() int64 {
		usage, err := disk.Usage("/data")
		if err != nil {
			t.Fatal(err)
		}
		return usage.Free
	}
	room := int64(capacity)
	setFree := func(bytes int64) {
		room += bytes - free()
		disk.SetCapacity(room)
	}
	var size int64
	eventually(t, func() bool { // the janitor is done
		before := size
		size = kept()
		return size > 2*reserve && size == before
	})
	setFree(4*reserve - size/2)
	eventually(t, func() bool { return kept() == 0 })
	setFree(4*reserve + reserve/2) // neither
	time.Sleep(50 * time.Millisecond)
	if n.Tight() {
		t.Error("space is tight though what was kept for nothing made room")
	}
	setFree(4*reserve - 8<<10)
	eventually(t, n.Tight)
	setFree(4*reserve + reserve/2)
	time.Sleep(50 * time.Millisecond)
	if !n.Tight() {
		t.Error("space is not tight any more, with half a reserve too much")
	}
	setFree(5*reserve + 8<<10)
	eventually(t, func() bool { return !n.Tight() })
}

func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for !cond() {
		if ctx.Err() != nil {
			t.Fatal("not within 5s")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestSpareFileMakesRoomOnAFullDisk has other programs take the disk to the last byte.
func TestSpareFileMakesRoomOnAFullDisk(t *testing.T) {
	const spareBytes, capacity = 4 << 20, 512 << 20
	disk := vfs.NewMem(1)
	disk.SetCapacity(capacity)
	store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: "/data", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	options := replica.Options{FS: disk, Dir: "/data", ReserveBytes: 8 << 20, SpareBytes: spareBytes, WatchInterval: 10 * time.Millisecond}
	n := &node{replica.NewLogs(store, options), nil, disk, "/data", commitlog.SyncAlways}
	free := func() int64 {
		usage, err := disk.Usage("/")
		if err != nil {
			t.Fatal(err)
		}
		return usage.Free
	}
	spare := func() bool {
		info, err := disk.Stat("/data/spare")
		return err == nil && info.Size == spareBytes
	}
	eventually(t, spare)
	l, m := start(t, n)
	take := func() { disk.SetCapacity(capacity - free()) }
	take()
	eventually(t, func() bool { return free() >= spareBytes })
	if p := logtest.Propose(l, m, record.KindControl, make([]byte, spareBytes/2)).Outcome(t); p.Err != nil {
		t.Fatalf("progress on the full disk: %v", p.Err)
	}
	if spare() {
		t.Error("the spare file is made again on a full disk")
	}
	disk.SetCapacity(capacity)
	eventually(t, spare)

	take()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	n.Logs.Close()
	options.WatchInterval = time.Hour
	replica.NewLogs(store, options).Close()
	if free() < spareBytes {
		t.Error("a node that starts on a full disk keeps its spare file")
	}
}
