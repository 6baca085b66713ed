package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what a longer time counts as.
const longest = time.Hour

// histogram counts times, with an error below 1 %. Its zero value takes no memory before the first time.
type histogram struct{ h *hdrhistogram.Histogram }

// record counts n times of the same length.
func (h *histogram) record(took time.Duration, n int64) {
	if h.h == nil {
		h.h = hdrhistogram.New(1000, longest.Nanoseconds(), 2)
	}
	_ = h.h.RecordValues(int64(min(max(took, time.Microsecond), longest)), n) // never out of range
}

// merge counts all of other.
func (h *histogram) merge(other *histogram) {
	if other.h == nil {
		return
	}
	if h.h == nil {
		h.h = hdrhistogram.New(1000, longest.Nanoseconds(), 2)
	}
	h.h.Merge(other.h)
}

// Quantiles are times in µs, to the nearest 1 %.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`

	// Bars are the counts of times, for people: each up to UpTo and above the one before.
	Bars []Bar `json:"-"`
}

// Bar is one line of a printed histogram.
type Bar struct {
	UpTo  time.Duration
	Count int64
}

// quantiles summarizes; nil if nothing was recorded.
func (h *histogram) quantiles() *Quantiles {
	if h.h == nil {
		return nil
	}
	us := func(percentile float64) float64 { return float64(h.h.ValueAtPercentile(percentile)) / 1000 }
	q := &Quantiles{Count: h.h.TotalCount(), P50: us(50), P90: us(90), P99: us(99), P999: us(99.9), Max: us(100)}
	for _, bar := range h.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		upTo := time.Microsecond // powers of two
		for upTo < time.Duration(bar.To) {
			upTo *= 2
		}
		if last := len(q.Bars) - 1; last >= 0 && q.Bars[last].UpTo == upTo {
			q.Bars[last].Count += bar.Count
		} else {
			q.Bars = append(q.Bars, Bar{UpTo: upTo, Count: bar.Count})
		}
	}
	return q
}
