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

// LogLevel defines --log-level.
func LogLevel(s *Set, p *slog.Level) {
	s.Func("log-level", "LEVEL", strings.ToLower(p.String()), "debug, info, warn, error, fatal", "what to log: debug, info, warn, error, fatal",
		func(v string) error {
			level, ok := levels[strings.ToLower(v)]
			if !ok {
				return errValue
			}
			*p = level
			return nil
		})
}
