package commitlog

import (
	"runtime"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs"
)

// TestAThousandQuietLogs checks the cost of topics that nobody uses at the moment, on a real disk.
func TestAThousandQuietLogs(t *testing.T) {
	if testing.Short() {
		t.Skip("creates a thousand directories")
	}
	const logs = 1000
	dir := t.TempDir()
	open := func() (*Store, []*Log) {
		s, err := OpenStore(Options{FS: vfs.Disk(), Dir: dir, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		ids, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		var list []*Log
		for _, id := range ids {
			l, err := s.Open(id, &testSource{}, LogOptions{})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, l)
		}
		return s, list
	}
	s, _ := open()
	var sources []*testSource
	for i := range uint64(logs) {
		if err := s.Create(LogID{Topic: i}); err != nil {
			t.Fatal(err)
		}
		_, src := openTest(t, s, LogID{Topic: i}, LogOptions{})
		sources = append(sources, src)
	}
	waits := make([]int, logs)
	for i, src := range sources {
		waits[i] = src.put(batchOf("m", 1, 100))
	}
	for i, src := range sources {
		src.wait(waits[i])
	}
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("closed in %v", time.Since(begun))
	sources = nil

	begun = time.Now()
	s, list := open()
	took := time.Since(begun)
	t.Logf("opened in %v", took)
	if took > 3*time.Second { // 0.1 s on an idle machine; the rest is patience with a busy one
		t.Errorf("opening %d clean quiet logs took %v", logs, took)
	}
	used := heapBytes()
	for _, l := range list {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	list = nil
	each := (int64(used) - int64(heapBytes())) / logs
	t.Logf("%d bytes of heap for each log", each)
	if each > 4096 {
		t.Errorf("a quiet log takes %d bytes of heap", each)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
