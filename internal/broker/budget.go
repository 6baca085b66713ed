package broker

import "sync"

// budget bounds the bytes that wait for their commit. Publishers beyond it wait their turn; one batch always fits.
//
// Concurrency: any goroutine; mu guards used.
type budget struct {
	limit int64
	mu    sync.Mutex
	freed *sync.Cond
	used  int64
}

func newBudget(limit int64) *budget {
	b := &budget{limit: limit}
	b.freed = sync.NewCond(&b.mu)
	return b
}

func (b *budget) acquire(n int64) {
	b.mu.Lock()
	for b.used > 0 && b.used+n > b.limit {
		b.freed.Wait()
	}
	b.used += n
	b.mu.Unlock()
}

func (b *budget) release(n int64) {
	b.mu.Lock()
	full := b.used >= b.limit/2
	b.used -= n
	b.mu.Unlock()
	if full {
		b.freed.Broadcast()
	}
}
