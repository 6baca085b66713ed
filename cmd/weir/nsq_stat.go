package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/tools/stat"
)

// runNSQStat is `weir nsq_stat`, and NSQ's nsq_stat.
func runNSQStat(ctx context.Context, p process) error {
	o := stat.DefaultOptions()
	t := newTool("nsq_stat", nil)
	set := t.set
	set.String(&o.Topic, "topic", "TOPIC", "topic of the channel (required)")
	set.String(&o.Channel, "channel", "CHANNEL", "channel to report on (required)")
	set.List(&o.NSQDs, "nsqd-http-address", "HOST:PORT", "broker to ask; may be repeated")
	set.List(&o.Lookupds, "lookupd-http-address", "HOST:PORT", "lookup service that knows the brokers; may be repeated")
	set.Duration(&o.Interval, "interval", 10*time.Millisecond, 24*time.Hour, "time between reports")
	set.Int(&o.Count, "count", 0, 1<<40, "end after so many reports; 0: never")
	timeouts(set, &o.ConnectTimeout, &o.RequestTimeout)
	var tokenFile string
	set.String(&tokenFile, "http-auth-token-file", "FILE", "file whose content nodes want as a token")
	set.Bool(&o.JSON, "json", "write reports as JSON lines")
	set.Version(&t.showVersion)
	if more, err := t.parse(p, "usage: nsq_stat --topic=TOPIC --channel=CHANNEL --nsqd-http-address=HOST:PORT"); !more {
		return err
	}
	o.Out = p.out
	if tokenFile != "" {
		token, err := os.ReadFile(tokenFile)
		if err != nil {
			return set.Refuse("http-auth-token-file", "cannot be read: "+err.Error(), "a file with a token")
		}
		o.Token = strings.TrimSpace(string(token))
	}
	if err := o.Validate(); err != nil {
		return usageError(t.name, err)
	}
	return t.failed(stat.Run(ctx, o))
}
