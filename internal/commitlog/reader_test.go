package commitlog

import (
	"errors"
	"sync"
	"testing"

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
