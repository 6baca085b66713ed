package commitlog

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// openHook runs before the next file is opened for reading.
type openHook struct {
	vfs.FS
	mu   sync.Mutex
	hook func()
}

func (h *openHook) Open(name string) (vfs.File, error) {
	h.mu.Lock()
	hook := h.hook
	h.hook = nil
	h.mu.Unlock()
	if hook != nil {
		hook()
	}
	return h.FS.Open(name)
}

func TestReadOfALogThatIsJustDeletedSaysClosed(t *testing.T) {
	disk := &openHook{FS: vfs.NewMem(1)}
	store, src := newTestLog(t, disk, Options{CacheBytes: 1, OpenFiles: 1})
	src.append(batchOf("m", 10, 100))
	log := src.log
	if err := log.Roll(); err != nil {
		t.Fatal(err)
	}
	disk.mu.Lock()
	disk.hook = func() {
		if err := errors.Join(log.Close(), store.Delete(log.ID())); err != nil {
			t.Error(err)
		}
	}
	disk.mu.Unlock()
	r := log.NewReader()
	defer r.Release()
	if _, _, err := r.Batch(0, 10); !errors.Is(err, ErrClosed) {
		t.Errorf("read of a log that was deleted meanwhile: %v, want ErrClosed", err)
	}
}

// readCounter counts the reads of the files that were opened for reading.
type readCounter struct {
	vfs.FS
	reads atomic.Int64
}

func (c *readCounter) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	return &countedFile{f, c}, err
}

type countedFile struct {
	vfs.File
	counter *readCounter
}

func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	f.counter.reads.Add(1)
	return f.File.ReadAt(p, off)
}

func TestReaderThatRestedReadsASmallBatchOnce(t *testing.T) {
	for name, c := range map[string]struct {
		bodyBytes int
		again     bool
	}{"small": {100, false}, "large": {maxAheadBytes, true}} {
		t.Run(name, func(t *testing.T) {
			disk := &readCounter{FS: vfs.NewMem(1)}
			_, src := newTestLog(t, disk, Options{CacheBytes: 1})
			src.append(batchOf("m", 10, c.bodyBytes), batchOf("n", 10, 100))
			r := src.log.NewReader()
			defer r.Release()
			read := func(first, last int) int64 {
				before := disk.reads.Load()
				for o := first; o <= last; o++ {
					b, _, err := r.Batch(record.Offset(o), 20)
					if err != nil {
						t.Fatal(err)
					}
					if base := record.Offset(o / 10 * 10); b.BaseOffset() != base {
						t.Fatalf("offset %d is in the batch from %d, want %d", o, b.BaseOffset(), base)
					}
					r.Rest()
				}
				return disk.reads.Load() - before
			}
			if n := read(0, 0); n == 0 {
				t.Error("the first batch was read without a read of the file")
			}
			if n := read(1, 9); n > 0 != c.again {
				t.Errorf("%d more reads for the rest of the batch, want some: %t", n, c.again)
			}
			read(10, 19)
		})
	}
}

func TestReadersThatRestKeepLittleTogether(t *testing.T) {
	s, src := newTestLog(t, vfs.NewMem(1), Options{CacheBytes: 1})
	src.append(batchOf("m", 1, 10<<10))
	readers := make([]*Reader, maxRestingBytes/(10<<10)+10)
	for i := range readers {
		readers[i] = src.log.NewReader()
		if _, _, err := readers[i].Batch(0, 1); err != nil {
			t.Fatal(err)
		}
		readers[i].Rest()
		readers[i].Rest()
	}
	if n := s.resting.Load(); n > maxRestingBytes || n < maxRestingBytes/2 {
		t.Errorf("%d bytes are kept by %d readers, want at most %d", n, len(readers), maxRestingBytes)
	}
	if last := readers[len(readers)-1]; cap(last.sc.buf) > 0 {
		t.Error("the last reader kept its buffer beyond the bound")
	}
	for i, r := range readers {
		if i%2 == 0 {
			if _, _, err := r.Batch(0, 1); err != nil {
				t.Fatal(err)
			}
		}
		r.Release()
	}
	if n := s.resting.Load(); n != 0 {
		t.Errorf("%d bytes count as kept when nobody rests", n)
	}
}
