package commitlog

import (
	"sort"
	"sync"

	"github.com/weirmq/weir/internal/record"
)

// tailCache holds the newest batches of all logs of a node, up to a number of bytes; the oldest goes first, whosever it is.
// Batches are immutable and shared with everybody who got one. One mutex guards it, held for a search at most.
type tailCache struct {
	limit int64 // bytes

	mu struct {
		sync.Mutex
		bytes int64
		age   ring[cachedAge] // oldest first
		seq   uint64          // of the batch added last
	}
}

// cachedOverheadBytes is what a cached batch costs beside its bytes, about.
const cachedOverheadBytes = 96

// cachedBatch is one batch of a log.
type cachedBatch struct {
	base, next record.Offset
	time       int64
	seq        uint64
	payload    []byte
}

func (b *cachedBatch) sizeBytes() int64 { return int64(cap(b.payload)) + cachedOverheadBytes }

// cachedAge says which log the seq-th batch belongs to. The batch itself may be gone already.
type cachedAge struct {
	log *logCache
	seq uint64
}

// logCache is one log's part of the cache, guarded by the cache's mutex.
type logCache struct {
	batches ring[cachedBatch] // by offset, which is also by age
	dead    bool
}

func newTailCache(limit int64) *tailCache { return &tailCache{limit: limit} }

// add caches the newest batch of a log.
func (c *tailCache) add(l *logCache, base, next record.Offset, time int64, payload []byte) {
	b := cachedBatch{base: base, next: next, time: time, payload: payload}
	if b.sizeBytes() > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.dead {
		return
	}
	c.mu.seq++
	b.seq = c.mu.seq
	l.batches.push(b)
	c.mu.age.push(cachedAge{l, b.seq})
	c.mu.bytes += b.sizeBytes()
	for c.mu.bytes > c.limit {
		old := c.mu.age.pop()
		if front := old.log.batches.front(); front != nil && front.seq == old.seq {
			c.mu.bytes -= front.sizeBytes()
			old.log.batches.pop()
		}
	}
}

// get returns the batch that holds offset, and its append time; nil if it is not cached.
func (c *tailCache) get(l *logCache, offset record.Offset) ([]byte, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := l.batches.len()
	i := sort.Search(n, func(i int) bool { return l.batches.at(i).next > offset })
	if i == n || l.batches.at(i).base > offset {
		return nil, 0
	}
	b := l.batches.at(i)
	return b.payload, b.time
}

// cut drops a log's batches from offset on: they were truncated.
func (c *tailCache) cut(l *logCache, offset record.Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l.batches.len() > 0 {
		b := l.batches.at(l.batches.len() - 1)
		if b.next <= offset {
			return
		}
		c.mu.bytes -= b.sizeBytes()
		l.batches.popBack()
	}
}

// drop forgets a log for good.
func (c *tailCache) drop(l *logCache) {
	c.cut(l, -1)
	c.mu.Lock()
	defer c.mu.Unlock()
	l.dead = true
	l.batches = ring[cachedBatch]{}
}

// ring is a queue in a growing circle. Places that are free hold zero values, so that it keeps nothing alive.
type ring[T any] struct {
	buf  []T // its length is a power of two
	head int
	n    int
}

func (r *ring[T]) len() int { return r.n }

// at returns the i-th oldest element.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// front returns the oldest element, nil if there is none.
func (r *ring[T]) front() *T {
	if r.n == 0 {
		return nil
	}
	return r.at(0)
}

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		r.resize(max(4, 2*len(r.buf)))
	}
	r.n++
	*r.at(r.n - 1) = v
}

// pop removes the oldest element and returns it.
func (r *ring[T]) pop() T {
	v, zero := *r.at(0), *new(T)
	*r.at(0) = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if len(r.buf) > 64 && r.n < len(r.buf)/8 {
		r.resize(len(r.buf) / 4)
	}
	return v
}

// popBack removes the newest element.
func (r *ring[T]) popBack() {
	*r.at(r.n - 1) = *new(T)
	r.n--
}

func (r *ring[T]) resize(size int) {
	buf := make([]T, size)
	for i := range r.n {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}
