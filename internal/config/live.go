package config

import (
	"log/slog"
	"sync/atomic"

	"github.com/weirmq/weir/internal/nsqhttp"
)

// logLevelVar defines --log-level for a log whose level can change while the node runs.
func logLevelVar(s *Set, p *slog.LevelVar) {
	number := new(atomic.Int64) // as NSQ counts levels: fatal is not error there
	number.Store(int64(levelNumbers["info"]))
	s.logLevel(p.Level(), func(word string) {
		p.Set(levels[word])
		number.Store(int64(levelNumbers[word]))
	})
	s.shows("log-level", func() any { return number.Load() })
}

// live gives the node's HTTP door the settings to show, and the log level to change. The settings do not change any more, but for
// those that have a Change.
func (n *Node) live(s *Set) {
	settings := make(map[string]nsqhttp.Setting)
	for name, value := range s.Values() {
		settings[name] = nsqhttp.Setting{Value: func() any { return value }}
	}
	level := s.byName["log-level"]
	settings["log_level"] = nsqhttp.Setting{Value: level.value, Change: func(body []byte) error { return level.set(string(body)) }}
	n.Options.HTTP.Settings = settings
}
