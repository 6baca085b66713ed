package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/tonsq"
)

// runToNSQ is `weir to_nsq`, and NSQ's to_nsq.
func runToNSQ(ctx context.Context, p process) error {
	o := tonsq.DefaultOptions()
	t := newTool("to_nsq", o.Meter)
	delimiter := `\n`
	set := t.set
	set.String(&o.Topic, "topic", "TOPIC", "topic to publish to (required)")
	set.List(&o.Addresses, "nsqd-tcp-address", "HOST:PORT", "nsqd to publish to; repeated, each gets every record (required)")
	set.String(&delimiter, "delimiter", "CHAR", "character that ends a record")
	set.Int(&o.Rate, "rate", 0, 1e9, "records a second; 0 is no limit")
	producerOptions := t.goNSQOptions("producer-opt")
	set.Duration(&o.GiveUp, "give-up", time.Second, 24*time.Hour, "how long an nsqd may answer nothing before it is given up")
	t.output()
	if more, err := t.parse(p, "usage: to_nsq --topic=TOPIC --nsqd-tcp-address=HOST:PORT < lines"); !more {
		return err
	}
	if delimiter == `\n` {
		delimiter = "\n"
	}
	if len(delimiter) != 1 {
		return set.Refuse("delimiter", fmt.Sprintf("does not take %q", delimiter), "one byte")
	}
	o.Delimiter = delimiter[0]
	var err error
	if o.Config, err = tools.NewConfig(t.name, *producerOptions); err != nil {
		return t.refuseOptions("producer-opt", err)
	}
	if err := o.Validate(); err != nil {
		return usageError(t.name, err)
	}
	o.Logger = t.logger(p)
	totals, err := tonsq.Run(ctx, p.in, o)
	showTotals(p, t, totals)
	return t.failed(err)
}

// showTotals says what became of the records.
func showTotals(p process, t *tool, totals tonsq.Totals) {
	if t.json {
		for _, d := range totals.Destinations {
			t.meter.Logger.Info("destination", "nsqd", d.Address, "records", totals.Records, "acknowledged", d.Acknowledged,
				"refused", d.Refused, "unanswered", d.Unanswered, "repeated", d.Repeated)
		}
		return
	}
	fmt.Fprintf(p.err, "to_nsq: read %d records, %d bytes\n", totals.Records, totals.Bytes)
	for _, d := range totals.Destinations {
		fmt.Fprintf(p.err, "to_nsq: %s: %d acknowledged, %d refused, %d unanswered, %d published again\n",
			d.Address, d.Acknowledged, d.Refused, d.Unanswered, d.Repeated)
	}
}
