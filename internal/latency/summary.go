package latency

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Summary is what a window, or several together, have measured.
type Summary struct {
	Count  int64   // values in the window
	Values []Value // in the order of the quantiles asked for
}

// Value is one quantile: the part Quantile of all messages, 0 to 1, took at most Took.
type Value struct {
	Quantile float64
	Took     time.Duration
}

// Sum adds windows up and summarizes them. It is made to be used again and again.
type Sum struct {
	quantiles []float64
	total     *hdrhistogram.Histogram
}

// NewSum returns an empty sum.
func NewSum(quantiles []float64) *Sum { return &Sum{quantiles, newHistogram()} }

// Add adds what is in the window.
func (s *Sum) Add(now time.Time, w *Window) { w.addTo(now, s.total) }

// Take returns the summary and empties the sum. Without values, all quantiles are 0.
func (s *Sum) Take() *Summary {
	out := &Summary{Count: s.total.TotalCount(), Values: make([]Value, len(s.quantiles))}
	for i, q := range s.quantiles {
		out.Values[i] = Value{q, time.Duration(s.total.ValueAtQuantile(100*q)) * time.Microsecond}
	}
	s.total.Reset()
	return out
}
