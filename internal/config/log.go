package config

import (
	"log/slog"
	"strings"
)

// levels are NSQ's words for log levels; fatal logs no less than error.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn,
	"error": slog.LevelError, "fatal": slog.LevelError,
}

// levelNumbers are what NSQ's /config calls its levels.
var levelNumbers = map[string]int{"debug": 1, "info": 2, "warn": 3, "warning": 3, "error": 4, "fatal": 5}

// LogLevel defines --log-level.
func LogLevel(s *Set, p *slog.Level) { s.logLevel(*p, func(word string) { *p = levels[word] }) }

// logLevel defines --log-level; set gets one of NSQ's words, in lower case.
func (s *Set) logLevel(level slog.Level, set func(word string)) {
	const words = "debug, info, warn, error, fatal"
	def := strings.ToLower(level.String())
	s.add(&setting{name: "log-level", placeholder: "LEVEL", def: def, accepts: words, usage: "what to log: " + words,
		set: func(v string) error {
			word := strings.ToLower(v)
			if _, ok := levels[word]; !ok {
				return errValue
			}
			set(word)
			return nil
		}})
}
