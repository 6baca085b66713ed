// Package quiet logs what others can cause, without letting them fill the log.
package quiet

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	// Interval is the time between two lines of one key.
	Interval = 30 * time.Second
	// MaxKeys is how many keys have lines of their own in Interval.
	MaxKeys = 256
)

// Log writes at most one line of a key in Interval; the line tells how many were left out. Keys that come while MaxKeys others were
// logged share one line for each message: there are never more lines in Interval than MaxKeys and one for each message, whoever chooses
// the keys. Where room is needed, a key is forgotten when it may be logged again, with what it left out. Methods may be called from any
// goroutine.
//
// The key should not hold what differs from time to time, as ports of clients do, nor be of any length. The message must be constant.
type Log struct {
	logger *slog.Logger
	mu     struct {
		sync.Mutex
		last   map[string]*line // by key, at most MaxKeys
		shared map[string]*line // by message
	}
}

type line struct {
	at      time.Time
	leftOut int
}

// New returns a Log that writes to the logger.
func New(logger *slog.Logger) *Log {
	l := &Log{logger: logger}
	l.mu.last, l.mu.shared = make(map[string]*line), make(map[string]*line)
	return l
}

// Warn logs the message unless one of the key was just logged.
func (l *Log) Warn(key, message string, attrs ...any) {
	l.log(slog.LevelWarn, key, message, attrs)
}

// Info is Warn for what is no trouble.
func (l *Log) Info(key, message string, attrs ...any) {
	l.log(slog.LevelInfo, key, message, attrs)
}

func (l *Log) log(level slog.Level, key, message string, attrs []any) {
	leftOut, ok := l.due(key, message, time.Now())
	if !ok {
		return
	}
	if leftOut > 0 {
		attrs = append(attrs, "left_out", leftOut)
	}
	l.logger.Log(context.Background(), level, message, attrs...)
}

func (l *Log) due(key, message string, now time.Time) (leftOut int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.lineLocked(key, message, now)
	if now.Sub(last.at) < Interval {
		last.leftOut++
		return 0, false
	}
	leftOut, last.at, last.leftOut = last.leftOut, now, 0
	return leftOut, true
}

// lineLocked returns the line of a key, or the shared one of its message if it is new and there is no room for it.
func (l *Log) lineLocked(key, message string, now time.Time) *line {
	if last := l.mu.last[key]; last != nil {
		return last
	}
	lines := l.mu.last
	if len(lines) >= MaxKeys {
		maps.DeleteFunc(lines, func(_ string, last *line) bool { return now.Sub(last.at) >= Interval })
	}
	if len(lines) >= MaxKeys {
		lines, key = l.mu.shared, message
	}
	if lines[key] == nil {
		lines[key] = &line{}
	}
	return lines[key]
}
