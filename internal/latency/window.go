// Package latency measures how long messages take from publish to finish, in a sliding window of time, as quantiles.
//
// A Window is two histograms of half a window each: the newer one counts, the older one is dropped when the newer is full of time.
// So a summary covers between half of the window and all of it, as nsqd's does. Values are kept with an error below 1 %, from 1 µs to
// somewhat more than a day; longer ones count as a day. A Window takes no memory before its first value, about 60 KiB then.
//
// Recording takes no memory. A Window may be used from any goroutine, a Sum by one at a time.
package latency

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms count microseconds.
const (
	longest = int64(1 << 37) // µs, 38 hours
	digits  = 2
)

// Window is the latencies of one channel.
type Window struct {
	half time.Duration
	mu   struct {
		sync.Mutex
		halves [2]*hdrhistogram.Histogram // [0] counts; nil before the first value
		begun  time.Time                  // when [0] began to count
	}
}

// NewWindow returns a window of that length.
func NewWindow(length time.Duration) *Window { return &Window{half: max(length/2, 1)} }

// Record counts the messages that were published at the given times, in Unix ns, as finished now.
func (w *Window) Record(now time.Time, published ...int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.halves[0] == nil {
		for i := range w.mu.halves {
			w.mu.halves[i] = newHistogram()
		}
		w.mu.begun = now
	}
	w.slideLocked(now)
	for _, at := range published {
		took := min(max((now.UnixNano()-at)/1000, 0), longest)
		_ = w.mu.halves[0].RecordValue(took) // fails beyond longest only
	}
}

// slideLocked drops what has left the window.
func (w *Window) slideLocked(now time.Time) {
	age := now.Sub(w.mu.begun)
	if age < w.half {
		return
	}
	h := &w.mu.halves
	if age >= 2*w.half {
		h[0].Reset()
		w.mu.begun = now
	} else {
		w.mu.begun = w.mu.begun.Add(w.half)
	}
	h[0], h[1] = h[1], h[0]
	h[0].Reset()
}

// addTo adds what is in the window.
func (w *Window) addTo(now time.Time, to *hdrhistogram.Histogram) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.halves[0] == nil {
		return
	}
	w.slideLocked(now)
	for _, h := range w.mu.halves {
		to.Merge(h)
	}
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, digits) }
