package raftspike_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/test/raftspike"
)

var logID = broker.LogID{Topic: 1}

// conform runs the suite of all logs over nodes of a kind.
func conform(t *testing.T, k kind, sync commitlog.SyncPolicy, disk func(t *testing.T) (vfs.FS, string)) {
	type place struct {
		fsys vfs.FS
		dir  string
	}
	places := map[broker.Logs]place{}
	open := func(t *testing.T, p place) broker.Logs {
		n := mustOpen(t, k, p.fsys, p.dir, sync)
		places[n] = p
		t.Cleanup(func() {
			if err := n.close(); err != nil {
				t.Error(err)
			}
		})
		return n
	}
	logtest.Run(t, logtest.Config{
		New: func(t *testing.T) broker.Logs {
			fsys, dir := disk(t)
			return open(t, place{fsys, dir})
		},
		Reopen: func(t *testing.T, old broker.Logs) broker.Logs {
			if err := old.(*node).close(); err != nil {
				t.Fatal(err)
			}
			return open(t, places[old])
		},
	})
}

func memoryDisk(*testing.T) (vfs.FS, string) { return vfs.NewMem(1), "data" }
func realDisk(t *testing.T) (vfs.FS, string) { return vfs.Disk(), t.TempDir() }

func TestOneVoterConforms(t *testing.T) {
	for _, k := range []kind{raft, raftBeside} {
		for _, sync := range []commitlog.SyncPolicy{commitlog.SyncAlways, commitlog.SyncOS} {
			t.Run(fmt.Sprintf("%s/%v/memory", k, sync), func(t *testing.T) { conform(t, k, sync, memoryDisk) })
			t.Run(fmt.Sprintf("%s/%v/disk", k, sync), func(t *testing.T) { conform(t, k, sync, realDisk) })
		}
	}
}

func TestOneVoterKeepsWhatItAnsweredThroughPowerCuts(t *testing.T) {
	for _, k := range []kind{raft, raftBeside} {
		t.Run(string(k), func(t *testing.T) {
			logtest.RunCrash(t, logtest.CrashConfig{Open: func(disk vfs.FS) (broker.Logs, func() error, error) {
				n, err := openNode(k, disk, "data", commitlog.SyncAlways)
				if err != nil {
					return nil, nil, err
				}
				return n, n.close, nil
			}})
		})
	}
}

func TestEveryStartIsATermOfItsOwn(t *testing.T) {
	disk := vfs.NewMem(1)
	for life := range 4 {
		n := mustOpen(t, raft, disk, "data", commitlog.SyncAlways)
		if life == 0 {
			if err := n.Create(logID); err != nil {
				t.Fatal(err)
			}
		}
		r := logtest.NewRecorder()
		l, err := n.Open(logID, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Start(0); err != nil {
			t.Fatal(err)
		}
		p := logtest.Propose(l, r, record.KindBatch, logtest.Batch([]byte("body"))).Outcome(t)
		if p.Err != nil || p.Base != record.Offset(life) {
			t.Fatalf("life %d: offset %d, %v", life, p.Base, p.Err)
		}
		entries := r.Entries()
		if len(entries) != 2*(life+1) {
			t.Fatalf("life %d: %d entries", life, len(entries))
		}
		for i, e := range entries {
			if want := record.Term(i/2 + 1); e.Term != want || (e.Kind == record.KindRaft) != (i%2 == 0) {
				t.Errorf("life %d: entry %d has term %d and kind %d", life, i, e.Term, e.Kind)
			}
		}
		r.Check(t)
		if err := errors.Join(l.Close(), n.close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLostHardStateIsNoticed(t *testing.T) {
	disk := vfs.NewMem(1)
	n := mustOpen(t, raft, disk, "data", commitlog.SyncAlways)
	if err := n.Create(logID); err != nil {
		t.Fatal(err)
	}
	open := func() (broker.Log, error) {
		l, err := n.Open(logID, logtest.NewRecorder())
		if err != nil {
			t.Fatal(err)
		}
		return l, l.Start(0)
	}
	l, err := open()
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	if err := disk.Remove("data/raft/0000000000000001-00000.hardstate"); err != nil {
		t.Fatal(err)
	}
	l, err = open()
	if err == nil {
		t.Error("a log started without its term and vote")
	}
	if err := errors.Join(l.Close(), n.close()); err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskHoldsBackWhatRaftHas(t *testing.T) {
	disk := vfs.NewMem(1)
	n := mustOpen(t, raft, disk, "data", commitlog.SyncAlways)
	if err := n.Create(logID); err != nil {
		t.Fatal(err)
	}
	r := logtest.NewRecorder()
	l, err := n.Open(logID, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	usage, err := disk.Usage("data")
	if err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(usage.Total - usage.Free + 1<<20)
	batch := func() record.Batch { return logtest.Batch(make([]byte, 100<<10)) }
	stuck := l.(*raftspike.Log).Stuck
	var held *logtest.Waiter
	committed := 0
	for held == nil {
		w := logtest.Propose(l, r, record.KindBatch, batch())
		r.Wait(t, "an answer or a full disk", func() bool { return w.Answered() || stuck() })
		if stuck() {
			held = w
		} else if p := w.Outcome(t); p.Err != nil {
			t.Fatal(p.Err)
		} else if committed++; committed > 20 {
			t.Fatal("the disk does not fill")
		}
	}
	for range 3 {
		if p := logtest.Propose(l, r, record.KindBatch, batch()).Outcome(t); !errors.Is(p.Err, broker.ErrFull) {
			t.Fatalf("a proposal on a full disk ended with %v", p.Err)
		}
	}
	if held.Answered() {
		t.Fatal("what Raft has was answered while the disk is full")
	}
	disk.SetCapacity(0)
	r.Wait(t, "space to be noticed", func() bool {
		logtest.Propose(l, r, record.KindControl, []byte("try again")).Outcome(t)
		return !stuck()
	})
	if p := held.Outcome(t); p.Err != nil || p.Base != record.Offset(committed) {
		t.Fatalf("what Raft had is at offset %d, %v; %d were committed before", p.Base, p.Err, committed)
	}
	r.Check(t)
	if err := errors.Join(l.Close(), n.close()); err != nil {
		t.Fatal(err)
	}
}

func TestMoreIsAppliedThanRaftHandsOverAtOnce(t *testing.T) {
	n := mustOpen(t, raft, vfs.NewMem(1), "data", commitlog.SyncOS)
	if err := n.Create(logID); err != nil {
		t.Fatal(err)
	}
	r := logtest.NewRecorder()
	l, err := n.Open(logID, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(0); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		p := logtest.Propose(l, r, record.KindBatch, logtest.Batch(make([]byte, 500<<10))).Outcome(t)
		if p.Err != nil || p.Base != record.Offset(i) {
			t.Fatalf("proposal %d is at %d, %v", i, p.Base, p.Err)
		}
	}
	if err := errors.Join(l.Close(), n.close()); err != nil {
		t.Fatal(err)
	}
}

func TestBrokerRunsUnchangedOverOneVoter(t *testing.T) {
	disk := vfs.NewMem(1)
	ctx := context.Background()
	for life := range 3 {
		n := mustOpen(t, raft, disk, "data", commitlog.SyncAlways)
		b, err := broker.Open(n, broker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		topic, err := b.CreateTopic(ctx, "orders")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := topic.CreateChannel(ctx, "billing"); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if err := publish(topic, logtest.Batch(fmt.Append(nil, life, i))); err != nil {
				t.Fatal(err)
			}
		}
		stats := b.Stats("orders", "billing", false)
		if len(stats) != 1 || len(stats[0].Channels) != 1 || stats[0].Channels[0].Depth != int64(10*(life+1)) {
			t.Fatalf("life %d: %+v", life, stats)
		}
		if err := errors.Join(b.Close(ctx), n.close()); err != nil {
			t.Fatal(err)
		}
	}
}

// publish publishes a batch and waits for the outcome.
func publish(topic *broker.Topic, b record.Batch) error {
	o := make(outcome, 1)
	topic.Publish(&broker.Proposal{Payload: b, Messages: b.Count(), Owner: o})
	return <-o
}

// outcome is a broker.Owner of one proposal at a time.
type outcome chan error

// Proposed implements broker.Owner.
func (o outcome) Proposed(p *broker.Proposal) { o <- p.Err }
