// Package tools holds what the NSQ tools have in common: how they configure go-nsq and where its log lines go (gonsq.go), where a
// consumer finds its messages (source.go, lookup.go), and what a tool says of its work (meter.go, latency.go). Each tool is a package
// below this one that main only starts. They are ordinary clients of the public protocol: they import nothing of the broker
// and work against stock nsqd and nsqlookupd as well.
package tools

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/version"
)

// NewConfig returns the go-nsq configuration of a tool: its user agent, and options of the form "name,value" (a bare name
// means true), as --consumer-opt and --producer-opt take them. Unlike go-nsq's own default, a message may be tried any number
// of times: after max_attempts go-nsq finishes it although nobody has it.
func NewConfig(tool string, options []string) (*nsq.Config, error) {
	cfg := nsq.NewConfig()
	cfg.MaxAttempts = 0
	cfg.UserAgent = fmt.Sprintf("%s/%s go-nsq/%s", tool, version.NSQTool, nsq.VERSION)
	for _, option := range options {
		name, value, given := strings.Cut(option, ",")
		var err error
		if given {
			err = cfg.Set(name, value)
		} else {
			err = cfg.Set(name, true)
		}
		if err != nil {
			return nil, fmt.Errorf("option %q of go-nsq: %w", option, err)
		}
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("options of go-nsq: %w", err)
	}
	return cfg, nil
}

// Distinct returns the values of a list without repetitions, in their order. Who names a topic or an nsqd twice means it once,
// as for NSQ's tools.
func Distinct(values []string) []string {
	var distinct []string
	for _, v := range values {
		if !slices.Contains(distinct, v) {
			distinct = append(distinct, v)
		}
	}
	return distinct
}

// Log passes go-nsq's log lines on to slog. Set it with level nsq.LogLevelDebug, so that the slog handler decides.
type Log struct {
	To *slog.Logger
}

// Output implements go-nsq's logger. A line begins with its level in three letters and the number of the client.
func (l Log) Output(_ int, line string) error {
	level := slog.LevelDebug
	switch {
	case strings.HasPrefix(line, "ERR"):
		level = slog.LevelError
	case strings.HasPrefix(line, "WRN"):
		level = slog.LevelWarn
	}
	if len(line) > 3 {
		line = strings.TrimSpace(line[3:])
	}
	l.To.Log(context.Background(), level, "go-nsq", "line", line)
	return nil
}
