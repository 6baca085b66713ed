package main

import (
	"context"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/tail"
)

// runNSQTail is `weir nsq_tail`, and NSQ's nsq_tail.
func runNSQTail(ctx context.Context, p process) error {
	o := tail.DefaultOptions()
	own := o.Source.Channel
	o.Source.Channel = ""
	t := newTool("nsq_tail", nil)
	set := t.set
	set.List(&o.Source.Topics, "topic", "TOPIC", "topic to show; may be repeated (required)")
	t.source(&o.Source)
	consumerOptions := t.consumerOptions()
	set.Int(&o.Messages, "n", 0, 1<<40, "end after so many messages; 0: never")
	set.Bool(&o.PrintTopic, "print-topic", "show the topic before each message")
	t.output()
	if more, err := t.parse(p, "usage: nsq_tail --topic=TOPIC --nsqd-tcp-address=HOST:PORT [--channel=CHANNEL, default an ephemeral one]"); !more {
		return err
	}
	if o.Source.Channel == "" {
		o.Source.Channel = own
	}
	var err error
	if o.Source.Config, err = tools.NewConfig(t.name, *consumerOptions); err != nil {
		return t.refuseOptions("consumer-opt", err)
	}
	o.Out = p.out
	if err := o.Validate(); err != nil {
		return usageError(t.name, err)
	}
	o.Source.Logger = t.logger(p)
	return t.failed(tail.Run(ctx, o))
}
