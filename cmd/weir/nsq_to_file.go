package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/tofile"
	"github.com/weirmq/weir/internal/version"
)

// runNSQToFile is `weir nsq_to_file`, and NSQ's nsq_to_file.
func runNSQToFile(ctx context.Context, p process) error {
	o := tofile.DefaultOptions()
	var consumerOptions []string
	level := slog.LevelInfo
	showVersion := false

	set := config.NewSet("nsq_to_file")
	set.List(&o.Topics, "topic", "TOPIC", "topic to consume; may be repeated (required)")
	set.String(&o.Channel, "channel", "CHANNEL", "channel to consume it by")
	set.List(&o.Addresses, "nsqd-tcp-address", "HOST:PORT", "nsqd to consume from; may be repeated (required)")
	set.List(&consumerOptions, "consumer-opt", "NAME,VALUE", "option of go-nsq; may be repeated")
	set.Int(&o.MaxInFlight, "max-in-flight", 1, 1e6, "unfinished messages a topic")
	set.String(&o.OutputDir, "output-dir", "DIR", "where the files go")
	set.String(&o.FilenameFormat, "filename-format", "FORMAT", "name of the files: <TOPIC> <HOST> <PID> <DATETIME>")
	set.String(&o.DatetimeFormat, "datetime-format", "FORMAT", "of <DATETIME>, as strftime's")
	set.String(&o.HostIdentifier, "host-identifier", "TEXT", "for <HOST>; <SHORT_HOST> and <HOSTNAME> are replaced in it")
	set.Duration(&o.SyncInterval, "sync-interval", time.Millisecond, 5*time.Minute, "longest time between a message's arrival, its fsync and its FIN")
	config.LogLevel(set, &level)
	var prefix string
	set.String(&prefix, "log-prefix", "TEXT", "accepted for NSQ's scripts, not used")
	set.Version(&showVersion)
	if err := parse(p, set, "usage: nsq_to_file --topic=TOPIC --nsqd-tcp-address=HOST:PORT --output-dir=DIR"); err != nil {
		return err
	}
	if showVersion {
		fmt.Fprintln(p.out, version.NSQLine("nsq_to_file"))
		return nil
	}
	o.Logger = toolLogger(p, level)
	var err error
	if o.Config, err = tools.NewConfig("nsq_to_file", consumerOptions); err != nil {
		return set.Refuse("consumer-opt", "cannot be used: "+err.Error(), "NAME,VALUE of an option of go-nsq")
	}
	if err := o.Validate(); err != nil {
		return usageError("nsq_to_file", err)
	}
	if err := tofile.Run(ctx, o); err != nil {
		return fmt.Errorf("nsq_to_file: %w", err)
	}
	return nil
}
