package node

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// freeHeapBytes is how large the heap may become before its growth is held down. Up to here Go's own rule counts: twice what lives.
// Above it the headroom is an eighth of what lives, and once more what of it has to be searched for pointers: that is what a collection
// costs. Most of what a busy node keeps (the newest messages, what is deferred) holds none.
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
	h := &heap{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}}
	h.collected(struct{}{})
})

type heap struct {
	sample []metrics.Sample
	limit  int64
}

// garbage is what a cleanup waits for. It has a pointer, as tiny objects without one share their memory.
type garbage struct{ _ *byte }

// collected runs after each collection, never twice at once.
func (h *heap) collected(struct{}) {
	metrics.Read(h.sample)
	live, searched := int64(h.sample[0].Value.Uint64()), int64(h.sample[1].Value.Uint64())
	if limit := max(freeHeapBytes, live+live/8+searched); limit > h.limit || limit < h.limit-h.limit/8 {
		h.limit = limit
		debug.SetMemoryLimit(limit)
	}
	runtime.AddCleanup(new(garbage), h.collected, struct{}{})
}
