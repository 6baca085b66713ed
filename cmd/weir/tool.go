package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/version"
)

// tool is what the command lines of the tools have in common.
type tool struct {
	name  string
	set   *config.Set
	meter *tools.Meter // nil for a tool that counts nothing

	level       slog.Level
	json        bool
	showVersion bool
}

// newTool begins the settings of a tool.
func newTool(name string, meter *tools.Meter) *tool {
	return &tool{name: name, set: config.NewSet(name), meter: meter, level: slog.LevelInfo}
}

// source defines where a consuming tool's messages come from.
func (t *tool) source(s *tools.Source) {
	t.set.String(&s.Channel, "channel", "CHANNEL", "channel to consume by")
	t.set.List(&s.NSQDs, "nsqd-tcp-address", "HOST:PORT", "broker to consume from; may be repeated")
	t.set.List(&s.Lookupds, "lookupd-http-address", "HOST:PORT", "lookup service that knows the brokers; may be repeated")
	t.set.Int(&s.MaxInFlight, "max-in-flight", 1, 1e6, "unfinished messages a topic")
}

// consumerOptions defines --consumer-opt and returns where its values go.
func (t *tool) consumerOptions() *[]string { return t.goNSQOptions("consumer-opt") }

// goNSQOptions defines a flag that takes options of go-nsq.
func (t *tool) goNSQOptions(flag string) *[]string {
	values := new([]string)
	t.set.List(values, flag, "NAME,VALUE", "option of go-nsq; may be repeated")
	return values
}

// refuseOptions is what to return when go-nsq does not take the options of a flag.
func (t *tool) refuseOptions(flag string, err error) error {
	return t.set.Refuse(flag, "cannot be used: "+err.Error(), "NAME,VALUE of an option of go-nsq")
}

// failed names the tool in an error of its run.
func (t *tool) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", t.name, err)
}

// output defines how a tool reports on stderr.
func (t *tool) output() {
	config.LogLevel(t.set, &t.level)
	t.set.Bool(&t.json, "json", "log as JSON lines, with the progress every ten seconds")
	t.set.Version(&t.showVersion)
}

// timeouts defines the limits of HTTP requests.
func timeouts(set *config.Set, connect, request *time.Duration) {
	set.Duration(connect, "http-client-connect-timeout", time.Millisecond, time.Hour, "for connecting by HTTP")
	set.Duration(request, "http-client-request-timeout", time.Millisecond, time.Hour, "for one HTTP request")
}

// parse reads the command line. It returns false if there is nothing more to do.
func (t *tool) parse(p process, usage string) (bool, error) {
	if err := parse(p, t.set, usage); err != nil {
		return false, err
	}
	if t.showVersion {
		fmt.Fprintln(p.out, version.NSQLine(t.name))
		return false, nil
	}
	return true, nil
}

// logger returns the logger that the settings ask for, and gives it to the meter. On a terminal the meter shows its progress
// there.
func (t *tool) logger(p process) *slog.Logger {
	out, options := p.err, &slog.HandlerOptions{Level: t.level}
	if t.meter != nil && !t.json {
		if t.meter.Terminal = terminal(p.err); t.meter.Terminal != nil {
			out = overProgress{p.err}
		}
	}
	logger := slog.New(slog.NewTextHandler(out, options))
	if t.json {
		logger = slog.New(slog.NewJSONHandler(out, options))
	}
	if t.meter != nil {
		t.meter.Logger, t.meter.Progress = logger, t.json
	}
	return logger
}

// overProgress is a terminal whose current line shows a meter's progress: what is written takes the place of that line, which
// the meter then shows again below.
type overProgress struct{ terminal io.Writer }

// Write implements io.Writer.
func (o overProgress) Write(line []byte) (int, error) {
	const eraseLine = "\r\x1b[K"
	n, err := o.terminal.Write(append([]byte(eraseLine), line...))
	return max(n-len(eraseLine), 0), err
}

// usageError makes what an Options.Validate found a matter of usage.
func usageError(command string, err error) error {
	var usage *config.UsageError
	if errors.As(err, &usage) {
		return err
	}
	return &config.UsageError{Command: command, Where: "settings:", Problem: err.Error()}
}
