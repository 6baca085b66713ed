package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/tonsq"
	"github.com/weirmq/weir/internal/version"
)

// runToNSQ is `weir to_nsq`, and NSQ's to_nsq.
func runToNSQ(ctx context.Context, p process) error {
	o := tonsq.DefaultOptions()
	var producerOptions []string
	delimiter := `\n`
	showVersion := false

	set := config.NewSet("to_nsq")
	set.String(&o.Topic, "topic", "TOPIC", "topic to publish to (required)")
	set.List(&o.Addresses, "nsqd-tcp-address", "HOST:PORT", "nsqd to publish to; repeated, each gets every record (required)")
	set.String(&delimiter, "delimiter", "CHAR", "character that ends a record")
	set.Int(&o.Rate, "rate", 0, 1e9, "records a second; 0 is no limit")
	set.List(&producerOptions, "producer-opt", "NAME,VALUE", "option of go-nsq; may be repeated")
	set.Duration(&o.GiveUp, "give-up", time.Second, 24*time.Hour, "how long an nsqd may answer nothing before it is given up")
	set.Version(&showVersion)
	if err := parse(p, set, "usage: to_nsq --topic=TOPIC --nsqd-tcp-address=HOST:PORT < lines"); err != nil {
		return err
	}
	if showVersion {
		fmt.Fprintln(p.out, version.NSQLine("to_nsq"))
		return nil
	}
	if delimiter == `\n` {
		delimiter = "\n"
	}
	if len(delimiter) != 1 {
		return set.Refuse("delimiter", fmt.Sprintf("does not take %q", delimiter), "one byte")
	}
	o.Delimiter = delimiter[0]
	o.Logger = toolLogger(p, slog.LevelInfo)
	var err error
	if o.Config, err = tools.NewConfig("to_nsq", producerOptions); err != nil {
		return set.Refuse("producer-opt", "cannot be used: "+err.Error(), "NAME,VALUE of an option of go-nsq")
	}
	if err := o.Validate(); err != nil {
		return usageError("to_nsq", err)
	}

	start := time.Now()
	totals, err := tonsq.Run(ctx, p.in, o)
	fmt.Fprintf(p.err, "to_nsq: read %d records, %d bytes in %s\n", totals.Records, totals.Bytes,
		time.Since(start).Round(time.Millisecond))
	for _, d := range totals.Destinations {
		fmt.Fprintf(p.err, "to_nsq: %s: %d acknowledged, %d refused, %d unanswered, %d published again\n",
			d.Address, d.Acknowledged, d.Refused, d.Unanswered, d.Repeated)
	}
	if err != nil {
		return fmt.Errorf("to_nsq: %w", err)
	}
	return nil
}

// toolLogger returns the logger of a tool: text on stderr, from a level on.
func toolLogger(p process, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: level}))
}

// usageError makes what an Options.Validate found a matter of usage.
func usageError(command string, err error) error {
	var usage *config.UsageError
	if errors.As(err, &usage) {
		return err
	}
	return &config.UsageError{Command: command, Where: "settings:", Problem: err.Error()}
}
