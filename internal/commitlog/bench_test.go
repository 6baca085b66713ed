package commitlog

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// benchSource appends one prepared batch again and again.
type benchSource struct {
	log     *Log
	mu      sync.Mutex
	doneC   chan error
	at      logEnd
	payload []byte
	waiting int // batches
	taken   int
	entries []record.Entry
}

func (s *benchSource) Collect(int) []record.Entry {
	s.mu.Lock()
	s.taken, s.waiting = s.waiting, 0
	s.mu.Unlock()
	s.entries = s.entries[:0]
	for range s.taken {
		e := record.Entry{Kind: record.KindBatch, Term: 1, Index: s.at.index + 1, Base: s.at.next, Time: s.at.time + 1, Payload: s.payload}
		record.Batch(e.Payload).Stamp(e.Base, 1)
		s.at = s.at.after(&e)
		s.entries = append(s.entries, e)
	}
	return s.entries
}

func (s *benchSource) Done(err error) {
	for range s.taken {
		s.doneC <- err
	}
}

func benchLog(b *testing.B, o Options, messages, size int) (*Store, *benchSource) {
	b.Helper()
	o.FS, o.Dir, o.Logger = vfs.Disk(), filepath.Join(b.TempDir(), "data"), quiet()
	s, err := OpenStore(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.Create(testID); err != nil {
		b.Fatal(err)
	}
	src := &benchSource{doneC: make(chan error, 1), payload: batchOf("m", messages, size).Payload}
	if src.log, err = s.Open(testID, src, LogOptions{}); err != nil {
		b.Fatal(err)
	}
	return s, src
}

func (s *benchSource) append(b *testing.B) {
	s.mu.Lock()
	s.waiting++
	s.mu.Unlock()
	s.log.Kick()
	if err := <-s.doneC; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAppend is one publisher that waits for each batch.
func BenchmarkAppend(b *testing.B) {
	for _, policy := range []SyncPolicy{SyncOS, SyncAlways} {
		for _, messages := range []int{1, 100, 300} {
			b.Run(fmt.Sprintf("%v/%dx200B", policy, messages), func(b *testing.B) {
				_, src := benchLog(b, Options{Sync: policy}, messages, 200)
				b.SetBytes(int64(len(src.payload)))
				b.ReportAllocs()
				for b.Loop() {
					src.append(b)
				}
			})
		}
	}
}

// BenchmarkCacheGet finds a batch of 100 messages in a full tail cache, in order and at random.
func BenchmarkCacheGet(b *testing.B) {
	const batchBytes, messages = 20 << 10, 100
	const batches = 12 << 20 / (batchBytes + cachedOverheadBytes)
	for _, c := range []struct {
		name string
		step record.Offset
	}{{"in order", messages}, {"at random", messages * 397}} {
		b.Run(c.name, func(b *testing.B) {
			cache, log := newTailCache(12<<20), &logCache{}
			for i := range record.Offset(batches) {
				cache.add(log, i*messages, (i+1)*messages, 0, make([]byte, batchBytes))
			}
			b.ReportAllocs()
			at := record.Offset(0)
			for b.Loop() {
				if payload, _ := cache.get(log, at); payload == nil {
					b.Fatalf("offset %d is not cached", at)
				}
				at = (at + c.step) % (batches * messages)
			}
		})
	}
}

// BenchmarkRead reads a backlog from the disk's page cache in order, all batches of 100 messages.
func BenchmarkRead(b *testing.B) {
	const batches = 2000
	for _, c := range []struct {
		name  string
		cache int64
		step  record.Offset
	}{{"disk in order", 1, 100}, {"disk at random", 1, 100 * 997}, {"cache", 64 << 20, 100}} {
		b.Run(c.name, func(b *testing.B) {
			_, src := benchLog(b, Options{Sync: SyncOS, CacheBytes: c.cache}, 100, 200)
			for range batches {
				src.append(b)
				src.payload = append([]byte(nil), src.payload...)
			}
			end := src.log.Bounds().Next
			r := src.log.NewReader()
			b.SetBytes(int64(len(src.payload)))
			b.ReportAllocs()
			at := record.Offset(0)
			for b.Loop() {
				if _, _, err := r.Batch(at, end); err != nil {
					b.Fatal(err)
				}
				at = (at + c.step) % end
			}
		})
	}
}

// BenchmarkWriteAhead shows what writing zeros ahead of the tail gives durable appends of several sizes. Appends with and without
// take turns on two files, so that both meet the same disk.
func BenchmarkWriteAhead(b *testing.B) {
	for _, size := range []int64{512, 4 << 10, 24 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var tails [2]*tailFile
			var spent [2]time.Duration
			for i := range tails {
				f, err := vfs.Disk().Create(filepath.Join(b.TempDir(), fmt.Sprint(i)))
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				tails[i] = &tailFile{file: f, pos: aheadFromBytes, round: size}
			}
			block := make([]byte, size)
			for b.Loop() {
				for i, t := range tails {
					begun := time.Now()
					if _, err := t.file.WriteAt(block, t.pos); err != nil {
						b.Fatal(err)
					}
					if i == 1 {
						t.writeAhead(1 << 40)
					}
					if err := t.file.Sync(); err != nil {
						b.Fatal(err)
					}
					t.pos += size
					spent[i] += time.Since(begun)
				}
			}
			b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N), "plain-ns/op")
			b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N), "ahead-ns/op")
		})
	}
}

// BenchmarkRecycle compares durable writes behind the end of a file with those over what it held.
func BenchmarkRecycle(b *testing.B) {
	for _, size := range []int64{64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f, err := vfs.Disk().Create(filepath.Join(b.TempDir(), "0"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			block := make([]byte, size)
			var spent [2]time.Duration
			for i := int64(0); b.Loop(); i++ {
				for turn := range spent { // each block first behind the end, then once more
					begun := time.Now()
					if _, err := f.WriteAt(block, i*size); err != nil {
						b.Fatal(err)
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
					spent[turn] += time.Since(begun)
				}
			}
			b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N), "new-ns/op")
			b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N), "recycled-ns/op")
		})
	}
}

// BenchmarkManyLogs appends to 64 logs at once, so that rounds sync the whole file system.
func BenchmarkManyLogs(b *testing.B) {
	s, err := OpenStore(Options{FS: vfs.Disk(), Dir: filepath.Join(b.TempDir(), "data"), Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var sources []*benchSource
	for i := range uint64(64) {
		if err := s.Create(LogID{Topic: i}); err != nil {
			b.Fatal(err)
		}
		src := &benchSource{doneC: make(chan error, 1), payload: batchOf("m", 80, 200).Payload}
		if src.log, err = s.Open(LogID{Topic: i}, src, LogOptions{}); err != nil {
			b.Fatal(err)
		}
		sources = append(sources, src)
	}
	b.SetBytes(int64(64 * len(sources[0].payload)))
	for b.Loop() {
		for _, src := range sources {
			src.mu.Lock()
			src.waiting++
			src.mu.Unlock()
			src.log.Kick()
		}
		for _, src := range sources {
			if err := <-src.doneC; err != nil {
				b.Fatal(err)
			}
		}
	}
}
