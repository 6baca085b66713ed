package peer

import (
	"log/slog"
	"sync"
	"time"
)

const (
	quietInterval = 30 * time.Second
	quietKeys     = 256
)

// quietLog logs what others can cause, at most one line of a key in quietInterval. The line tells how many were left out.
type quietLog struct {
	logger *slog.Logger
	mu     struct {
		sync.Mutex
		last map[string]*quietLine
	}
}

type quietLine struct {
	at      time.Time
	leftOut int
}

func newQuietLog(logger *slog.Logger) *quietLog {
	q := &quietLog{logger: logger}
	q.mu.last = make(map[string]*quietLine)
	return q
}

// warn logs the message unless one of the key was just logged.
func (q *quietLog) warn(key, message string, attrs ...any) {
	if leftOut, ok := q.due(key, time.Now()); ok {
		if leftOut > 0 {
			attrs = append(attrs, "left_out", leftOut)
		}
		q.logger.Warn(message, attrs...)
	}
}

func (q *quietLog) due(key string, now time.Time) (leftOut int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.mu.last[key]
	if line == nil {
		if len(q.mu.last) >= quietKeys {
			clear(q.mu.last)
		}
		q.mu.last[key] = &quietLine{at: now}
		return 0, true
	}
	if now.Sub(line.at) < quietInterval {
		line.leftOut++
		return 0, false
	}
	leftOut, line.at, line.leftOut = line.leftOut, now, 0
	return leftOut, true
}
