package peer

import (
	"context"
	"sync"
	"time"
)

// bucket limits a rate: whoever takes tokens waits until they have come in. What was not used for a tenth of a second is lost.
type bucket struct {
	bytesPerSecond int // 0 or less: unlimited
	mu             struct {
		sync.Mutex
		next time.Time // when all tokens that were taken have come in
	}
}

func newBucket(bytesPerSecond int) *bucket { return &bucket{bytesPerSecond: bytesPerSecond} }

// take waits for n bytes. The error is the context's.
func (b *bucket) take(ctx context.Context, n int) error {
	if b.bytesPerSecond <= 0 {
		return ctx.Err()
	}
	wait := b.reserve(time.Now(), n)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve takes n bytes and returns how long to wait for them.
func (b *bucket) reserve(now time.Time, n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if oldest := now.Add(-100 * time.Millisecond); b.mu.next.Before(oldest) {
		b.mu.next = oldest
	}
	b.mu.next = b.mu.next.Add(time.Duration(int64(n) * int64(time.Second) / int64(b.bytesPerSecond)))
	return b.mu.next.Sub(now)
}
