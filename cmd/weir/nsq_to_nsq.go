package main

import (
	"context"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/nsqtonsq"
)

// runNSQToNSQ is `weir nsq_to_nsq`, and NSQ's nsq_to_nsq.
func runNSQToNSQ(ctx context.Context, p process) error {
	o := nsqtonsq.DefaultOptions()
	t := newTool("nsq_to_nsq", o.Meter)
	set := t.set
	set.List(&o.Source.Topics, "topic", "TOPIC", "topic to consume; may be repeated (required)")
	t.source(&o.Source)
	consumerOptions := t.consumerOptions()
	set.List(&o.Destinations, "destination-nsqd-tcp-address", "HOST:PORT", "nsqd to publish to; each message goes to one of them (required)")
	set.String(&o.DestinationTopic, "destination-topic", "TOPIC", "topic to publish all to (default: the topic it comes from)")
	producerOptions := t.goNSQOptions("producer-opt")
	set.OneOf(&o.Mode, "mode", poolModes, "how one of several destinations is chosen")
	set.String(&o.Filter.RequireField, "require-json-field", "FIELD", "pass only JSON objects with this field")
	set.String(&o.Filter.RequireValue, "require-json-value", "VALUE", "pass only those that have this value in it")
	set.List(&o.Filter.Fields, "whitelist-json-field", "FIELD", "pass only this field of JSON objects; may be repeated")
	set.Int(&o.StatusEvery, "status-every", 0, 1e9, "log response times after so many messages; 0: never")
	t.output()
	if more, err := t.parse(p, "usage: nsq_to_nsq --topic=TOPIC --nsqd-tcp-address=HOST:PORT --destination-nsqd-tcp-address=HOST:PORT"); !more {
		return err
	}
	var err error
	if o.Source.Config, err = tools.NewConfig(t.name, *consumerOptions); err != nil {
		return t.refuseOptions("consumer-opt", err)
	}
	if o.ProducerConfig, err = tools.NewConfig(t.name, *producerOptions); err != nil {
		return t.refuseOptions("producer-opt", err)
	}
	if err := o.Validate(); err != nil {
		return usageError(t.name, err)
	}
	o.Source.Logger = t.logger(p)
	return t.failed(nsqtonsq.Run(ctx, o))
}
