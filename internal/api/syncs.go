package api

import (
	"math"
	"sync"
	"time"
)

const (
	syncSlots   = 12 // of syncSlot each: the last minute
	syncSlot    = 5 * time.Second
	syncBuckets = 64 // bucket b holds syncs of less than 2^(b/2) µs: half an octave each, up to an hour
)

// Syncs measures how long making writes durable takes, over the last minute, within a factor of 1.42, and in all. The zero value is ready; its
// methods may be called from any goroutine.
type Syncs struct {
	mu    sync.Mutex
	slots [syncSlots]syncCounts
	total struct {
		count int64
		took  time.Duration
	}
}

type syncCounts struct {
	number  int64 // of the slot since 1970; another number means that the counts are old
	count   int64
	max     time.Duration
	buckets [syncBuckets]uint32
}

// syncLatency is what /v1/node says of it.
type syncLatency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Observe notes one round that took so long.
func (s *Syncs) Observe(took time.Duration) { s.observe(time.Now(), took) }

func (s *Syncs) observe(now time.Time, took time.Duration) {
	number := now.UnixNano() / int64(syncSlot)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.count++
	s.total.took += took
	c := &s.slots[number%syncSlots]
	if c.number != number {
		*c = syncCounts{number: number}
	}
	c.count++
	c.max = max(c.max, took)
	c.buckets[syncBucket(took)]++
}

// Total returns how many rounds there were since the start, and how long all of them took.
func (s *Syncs) Total() (count int64, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total.count, s.total.took
}

func syncBucket(took time.Duration) int {
	us := float64(took) / 1e3
	if us < 1 {
		return 0
	}
	return min(int(2*math.Log2(us))+1, syncBuckets-1)
}

// latency sums up what was observed since a time.
func (s *Syncs) latency(now time.Time, since time.Duration) syncLatency {
	oldest := (now.UnixNano() - int64(since)) / int64(syncSlot)
	var all syncCounts
	s.mu.Lock()
	for i := range s.slots {
		c := &s.slots[i]
		if c.count == 0 || c.number <= oldest {
			continue
		}
		all.count += c.count
		all.max = max(all.max, c.max)
		for b, n := range c.buckets {
			all.buckets[b] += n
		}
	}
	s.mu.Unlock()
	ms := func(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }
	return syncLatency{Count: all.count, P50: ms(all.quantile(0.5)), P99: ms(all.quantile(0.99)), Max: ms(all.max)}
}

// quantile is the upper bound of the bucket that it falls into, but never more than the maximum.
func (c *syncCounts) quantile(q float64) time.Duration {
	rank := int64(math.Ceil(q * float64(c.count)))
	for b, n := range c.buckets {
		if rank -= int64(n); rank <= 0 && c.count > 0 {
			return min(time.Duration(math.Pow(2, float64(b)/2)*1e3), c.max)
		}
	}
	return c.max
}
