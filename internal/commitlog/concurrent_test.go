package commitlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// TestReadersRunWhileTheLogRollsAndTrims appends, rolls, saves and trims on a real disk while readers look for messages from
// the cache and from files that come and go.
func TestReadersRunWhileTheLogRollsAndTrims(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		t.Run(policy.String(), func(t *testing.T) {
			o := Options{Dir: filepath.Join(t.TempDir(), "data"), Sync: policy, MinSegmentBytes: 8 << 10, MaxSegmentBytes: 8 << 10,
				CacheBytes: 16 << 10, OpenFiles: 2, IndexBytes: 1}
			s, src := newTestLog(t, vfs.Disk(), o)
			stopC := make(chan struct{})
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() { readAtRandom(t, src.log, stopC) })
			}
			for i := range 200 {
				src.append(batchOf(fmt.Sprint("m", i), 1+i%5, 200))
				if b := src.log.Bounds(); i%20 == 19 {
					for _, at := range []record.Index{b.LastIndex - 1, b.LastIndex} {
						if err := src.log.SaveCheckpoint([]byte("s"), at); err != nil {
							t.Error(err)
						}
					}
					if err := errors.Join(src.log.Roll(), src.log.Trim(b.Next-60)); err != nil {
						t.Error(err)
					}
				}
			}
			close(stopC)
			readers.Wait()
			if err := src.lastErr(); err != nil {
				t.Fatal(err)
			}
			if b := src.log.Bounds(); b.Start == 0 {
				t.Fatalf("nothing was trimmed: %+v", b)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func readAtRandom(t *testing.T, l *Log, stopC <-chan struct{}) {
	r := l.NewReader()
	defer r.Release()
	for {
		select {
		case <-stopC:
			return
		default:
		}
		b := l.Bounds()
		if b.Next == b.Start {
			continue
		}
		o := b.Start + record.Offset(rand.Int64N(int64(b.Next-b.Start)))
		for range 3 {
			batch, _, err := r.Batch(o, b.Next)
			if errors.Is(err, ErrOffsetOutOfRange) && o < l.Bounds().Start {
				break // trimmed meanwhile
			}
			if err != nil || batch.BaseOffset() > o || batch.LastOffset() < o {
				t.Errorf("offset %d: %v", o, err)
				return
			}
			if o = batch.LastOffset() + 1; o >= b.Next {
				break
			}
		}
	}
}

// TestLogsOfOneStoreShareRounds kicks many logs from many goroutines; everything is answered, in order.
func TestLogsOfOneStoreShareRounds(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncEvery(5 * time.Millisecond)} {
		disk := vfs.NewMem(1)
		s := openStore(t, disk, Options{Sync: policy, MinSegmentBytes: 2 << 10, MaxSegmentBytes: 4 << 10})
		var sources []*testSource
		var publishers sync.WaitGroup
		for i := range uint64(20) {
			id := LogID{Topic: i}
			if err := s.Create(id); err != nil {
				t.Fatal(err)
			}
			_, src := openTest(t, s, id, LogOptions{})
			sources = append(sources, src)
			for p := range 3 {
				publishers.Go(func() {
					for m := range 20 {
						src.append(batchOf(fmt.Sprint(p, "/", m), 1, 100))
					}
				})
			}
		}
		publishers.Wait()
		for _, src := range sources {
			if len(src.done) != 60 || src.lastErr() != nil {
				t.Fatal(len(src.done), src.lastErr())
			}
			samePrefix(t, replayed(t, src.log), src.done)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCacheHoldsTheNewestBatchesOfAllLogs(t *testing.T) {
	c := newTailCache(10 * (100 + cachedOverheadBytes))
	var a, b logCache
	batch := func() []byte { return make([]byte, 100) }
	for i := range record.Offset(8) {
		c.add(&a, 10*i, 10*i+10, int64(i), batch())
		c.add(&b, i, i+1, int64(i), batch())
	}
	for i := range record.Offset(8) {
		gotA, at := c.get(&a, 10*i+9)
		gotB, _ := c.get(&b, i)
		if want := i >= 3; (gotA != nil) != want || (gotB != nil) != want || want && at != int64(i) {
			t.Fatalf("batch %d: %v %v", i, gotA != nil, gotB != nil)
		}
	}
	c.cut(&a, 60)
	if got, _ := c.get(&a, 60); got != nil {
		t.Fatal("a truncated batch is still there")
	}
	c.drop(&b)
	c.add(&b, 8, 9, 8, batch())
	if got, _ := c.get(&b, 8); got != nil || b.batches.len() != 0 {
		t.Fatal("a dropped log is still cached")
	}
	for i := range record.Offset(100) {
		c.add(&a, 60+i, 61+i, 0, batch())
	}
	if c.mu.bytes > c.limit || a.batches.len() != 10 {
		t.Fatalf("%d bytes, %d batches", c.mu.bytes, a.batches.len())
	}
	for i := range a.batches.buf { // evicted batches must not be kept alive
		if place := (i - a.batches.head) & (len(a.batches.buf) - 1); place >= a.batches.n && a.batches.buf[i].payload != nil {
			t.Fatal("an evicted batch is pinned")
		}
	}
	c.add(&a, 1000, 1001, 0, make([]byte, c.limit))
	if got, _ := c.get(&a, 1000); got != nil {
		t.Fatal("a batch larger than the cache is in it")
	}
}
