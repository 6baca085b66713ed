// Package quiet logs what others can cause, without letting them fill the log.
package quiet

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// Interval is the time between two lines of one key.
	Interval = 30 * time.Second
	maxKeys  = 256
)

// Log writes at most one line of a key in Interval; the line tells how many were left out. Its methods may be called from any
// goroutine.
type Log struct {
	logger *slog.Logger
	mu     struct {
		sync.Mutex
		last map[string]*line
	}
}

type line struct {
	at      time.Time
	leftOut int
}

// New returns a Log that writes to the logger.
func New(logger *slog.Logger) *Log {
	l := &Log{logger: logger}
	l.mu.last = make(map[string]*line)
	return l
}

// Warn logs the message unless one of the key was just logged. The key should not hold what differs from time to time, as
// ports do.
func (l *Log) Warn(key, message string, attrs ...any) {
	if leftOut, ok := l.due(key, time.Now()); ok {
		if leftOut > 0 {
			attrs = append(attrs, "left_out", leftOut)
		}
		l.logger.Warn(message, attrs...)
	}
}

func (l *Log) due(key string, now time.Time) (leftOut int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.mu.last[key]
	if last == nil {
		if len(l.mu.last) >= maxKeys {
			clear(l.mu.last)
		}
		l.mu.last[key] = &line{at: now}
		return 0, true
	}
	if now.Sub(last.at) < Interval {
		last.leftOut++
		return 0, false
	}
	leftOut, last.at, last.leftOut = last.leftOut, now, 0
	return leftOut, true
}
