package main

import (
	"context"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/tofile"
)

// runNSQToFile is `weir nsq_to_file`, and NSQ's nsq_to_file.
func runNSQToFile(ctx context.Context, p process) error {
	o := tofile.DefaultOptions()
	t := newTool("nsq_to_file", o.Meter)
	set := t.set
	set.List(&o.Source.Topics, "topic", "TOPIC", "topic to consume; may be repeated (default: all that match --topic-pattern)")
	set.String(&o.TopicPattern, "topic-pattern", "REGEXP", "consume only the topics that match")
	set.Duration(&o.TopicRefresh, "topic-refresh", time.Millisecond, 24*time.Hour, "how often to look for new topics when there is no --topic")
	t.source(&o.Source)
	consumerOptions := t.consumerOptions()
	timeouts(set, &o.Source.ConnectTimeout, &o.Source.RequestTimeout)
	set.String(&o.OutputDir, "output-dir", "DIR", "where the files go")
	set.String(&o.WorkDir, "work-dir", "DIR", "where files lie until they are complete, on the same file system (default: --output-dir)")
	set.String(&o.FilenameFormat, "filename-format", "FORMAT", "name of the files: <TOPIC> <HOST> <PID> <DATETIME> <REV>")
	set.String(&o.DatetimeFormat, "datetime-format", "FORMAT", "of <DATETIME>, as strftime's")
	set.String(&o.HostIdentifier, "host-identifier", "TEXT", "for <HOST>; <SHORT_HOST> and <HOSTNAME> are replaced in it")
	set.Bool(&o.GZIP, "gzip", "compress the files")
	set.Int(&o.GZIPLevel, "gzip-level", 1, 9, "1 is fast, 9 small")
	set.Bool(&o.SkipEmptyFiles, "skip-empty-files", "make no file for a time without messages")
	set.Size(&o.RotateSize, "rotate-size", 0, math.MaxInt64, "begin another file after so many bytes before compression; 0: never")
	set.Duration(&o.RotateInterval, "rotate-interval", 0, 10*365*24*time.Hour, "begin another file after so long; 0: never")
	set.Duration(&o.SyncInterval, "sync-interval", time.Millisecond, 5*time.Minute, "longest time between a message's arrival, its fsync and its FIN")
	var prefix string
	set.String(&prefix, "log-prefix", "TEXT", "accepted for NSQ's scripts, not used")
	t.output()
	if more, err := t.parse(p, "usage: nsq_to_file --topic=TOPIC --nsqd-tcp-address=HOST:PORT --output-dir=DIR"); !more {
		return err
	}
	var err error
	if o.Source.Config, err = tools.NewConfig(t.name, *consumerOptions); err != nil {
		return t.refuseOptions("consumer-opt", err)
	}
	if err := o.Validate(); err != nil {
		return usageError(t.name, err)
	}
	o.Source.Logger = t.logger(p)
	reopenC, stop := onHangUp()
	defer stop()
	o.ReopenC = reopenC
	return t.failed(tofile.Run(ctx, o))
}

// onHangUp returns a Go channel that receives for each SIGHUP, until it is stopped.
func onHangUp() (hungUpC <-chan struct{}, stop func()) {
	c, signalC, doneC := make(chan struct{}, 1), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signalC, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-doneC:
				return
			case <-signalC:
				select {
				case c <- struct{}{}:
				default: // one is waiting already
				}
			}
		}
	}()
	return c, func() { signal.Stop(signalC); close(doneC) }
}
