package tools

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Latency logs how long requests took, once for every so many of them, as --status-every asks. It may be used from any goroutine;
// a nil Latency does nothing.
type Latency struct {
	of     string // what the requests go to
	every  int
	logger *slog.Logger

	mu   sync.Mutex
	took []time.Duration // since the last line
}

// NewLatency returns a Latency that logs after every so many requests, or nil for 0.
func NewLatency(logger *slog.Logger, of string, every int) *Latency {
	if every <= 0 {
		return nil
	}
	return &Latency{of: of, every: every, logger: logger}
}

// Took notes a request that was sent at begun and is answered now.
func (l *Latency) Took(begun time.Time) {
	if l == nil {
		return
	}
	if took := l.note(time.Since(begun)); took != nil {
		slices.Sort(took)
		var sum time.Duration
		for _, d := range took {
			sum += d
		}
		l.logger.Info("status", "of", l.of, "requests", len(took), "p99", percentile(took, 99), "p95", percentile(took, 95),
			"average", (sum / time.Duration(len(took))).Round(time.Microsecond))
	}
}

// note keeps a duration, and returns all that were kept once there are enough of them.
func (l *Latency) note(d time.Duration) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, d)
	if len(l.took) < l.every {
		return nil
	}
	took := l.took
	l.took = nil
	return took
}

// percentile returns the duration that so many percent of the sorted durations do not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	i := (len(sorted)*percent+99)/100 - 1
	return sorted[max(i, 0)].Round(time.Microsecond)
}
