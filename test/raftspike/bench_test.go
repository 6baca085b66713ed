package raftspike_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

// BenchmarkPublish compares a lone node without and with Raft: batches published through the broker to one topic on a
// real disk (that of the temporary directory), each proposer waiting for its answer. Run it with -count 5 or more and
// take medians; docs/decisions/0010-lone-node-and-raft.md says how it was read.
func BenchmarkPublish(b *testing.B) {
	small := logtest.Batch(bytes.Repeat([]byte{'x'}, 200))
	bodies := make([][]byte, 80)
	for i := range bodies {
		bodies[i] = bytes.Repeat([]byte{'x'}, 194)
	}
	large := logtest.Batch(bodies...)
	for _, sync := range []commitlog.SyncPolicy{commitlog.SyncOS, commitlog.SyncAlways} {
		for _, proposers := range []int{1, 64} {
			for _, batch := range []record.Batch{small, large} {
				for _, k := range []kind{lone, raft, raftBeside} {
					name := fmt.Sprintf("sync=%v/proposers=%d/batch=%dB/log=%s", sync, proposers, len(batch), k)
					b.Run(name, func(b *testing.B) { benchPublish(b, k, sync, proposers, batch) })
				}
			}
		}
	}
}

func benchPublish(b *testing.B, k kind, sync commitlog.SyncPolicy, proposers int, batch record.Batch) {
	n := mustOpen(b, k, vfs.Disk(), b.TempDir(), sync)
	bk, err := broker.Open(n, broker.Options{})
	if err != nil {
		b.Fatal(err)
	}
	topic, err := bk.CreateTopic(b.Context(), "orders")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(batch)))
	b.ResetTimer()
	before := cpuTime(b)
	publishAll(b, topic, proposers, batch)
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	if err := bk.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	if err := n.close(); err != nil {
		b.Fatal(err)
	}
}

// publishAll publishes b.N batches from several goroutines.
func publishAll(b *testing.B, topic *broker.Topic, proposers int, batch record.Batch) {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	for range proposers {
		wg.Go(func() {
			o := make(outcome, 1)
			for left.Add(-1) >= 0 {
				topic.Publish(&broker.Proposal{Payload: slices.Clone(batch), Messages: batch.Count(), Owner: o})
				if err := <-o; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// cpuTime is what the process has used of the processors, in user and kernel mode.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
