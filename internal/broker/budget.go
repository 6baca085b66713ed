package broker

import "sync"

// budget bounds the bytes that wait for their commit. Publishers beyond it wait their turn; one batch always fits.
//
// Concurrency: any goroutine; mu guards used and waiting.
type budget struct {
	limit int64
	mu    sync.Mutex
	freed *sync.Cond
	used  int64
	// waiting counts the publishers that wait for their turn.
	waiting int
}

func newBudget(limit int64) *budget {
	b := &budget{limit: limit}
	b.freed = sync.NewCond(&b.mu)
	return b
}

func (b *budget) acquire(n int64) {
	b.mu.Lock()
	for b.used > 0 && b.used+n > b.limit {
		b.waiting++
		b.freed.Wait()
		b.waiting--
	}
	b.used += n
	b.mu.Unlock()
}

func (b *budget) release(n int64) {
	b.mu.Lock()
	b.used -= n
	awaited := b.waiting > 0
	b.mu.Unlock()
	if awaited {
		b.freed.Broadcast()
	}
}
