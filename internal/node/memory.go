package node

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// freeHeapBytes is how large the heap may become before its growth is held down. Up to here Go's own rule counts: twice what lives.
// Above it the headroom is a sixteenth of what lives, and once more what of it has to be searched for pointers: that is what a collection
// costs. Most of what a busy node keeps (the newest messages, what is deferred) holds none. What is beside the heap counts against the
// limit too, as the stacks of thousands of sessions do, so that it is added: headroom is for the heap alone.
const freeHeapBytes = 44 << 20

// limitMemory sets the process's soft limit of memory to bytes. With 0 the limit follows what lives, unless the environment rules.
func limitMemory(bytes int64) {
	switch {
	case bytes > 0:
		debug.SetMemoryLimit(bytes)
	case os.Getenv("GOMEMLIMIT") == "" && os.Getenv("GOGC") == "":
		adaptMemory()
	}
}

// adaptMemory begins to adapt the limit after every garbage collection, once for the process.
var adaptMemory = sync.OnceFunc(func() {
	newHeap().collected(struct{}{})
})

type heap struct {
	sample []metrics.Sample
	limit  int64
}

func newHeap() *heap {
	h := &heap{}
	for _, name := range []string{
		"/gc/heap/live:bytes", "/gc/scan/heap:bytes",
		"/memory/classes/total:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes",
		"/memory/classes/heap/free:bytes", "/memory/classes/heap/released:bytes",
	} {
		h.sample = append(h.sample, metrics.Sample{Name: name})
	}
	return h
}

// measure returns what lived on the heap at the last collection, what of it was searched, and what memory the process has beside the heap:
// stacks and what the runtime needs.
func (h *heap) measure() (live, searched, beside int64) {
	metrics.Read(h.sample)
	value := func(i int) int64 { return int64(h.sample[i].Value.Uint64()) }
	beside = value(2)
	for i := 3; i < len(h.sample); i++ {
		beside -= value(i)
	}
	return value(0), value(1), beside
}

// limitOf returns the limit for what measure returned.
func limitOf(live, searched, beside int64) int64 {
	return max(freeHeapBytes, live+live/16+searched+beside)
}

// garbage is what a cleanup waits for. It has a pointer, as tiny objects without one share their memory.
type garbage struct{ _ *byte }

// collected runs after each collection, never twice at once.
func (h *heap) collected(struct{}) {
	if limit := limitOf(h.measure()); limit > h.limit || limit < h.limit-h.limit/8 {
		h.limit = limit
		debug.SetMemoryLimit(limit)
	}
	runtime.AddCleanup(new(garbage), h.collected, struct{}{})
}
