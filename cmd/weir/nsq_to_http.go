package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/pool"
	"github.com/weirmq/weir/internal/tools/tohttp"
)

// poolModes are what --mode takes.
var poolModes = []string{pool.RoundRobin, pool.HostPool, pool.EpsilonGreedy}

// runNSQToHTTP is `weir nsq_to_http`, and NSQ's nsq_to_http.
func runNSQToHTTP(ctx context.Context, p process) error {
	o := tohttp.DefaultOptions()
	t := newTool("nsq_to_http", o.Meter)
	set := t.set
	var topic string
	set.String(&topic, "topic", "TOPIC", "topic to consume (required)")
	t.source(&o.Source)
	consumerOptions := t.consumerOptions()
	set.List(&o.Post, "post", "URL", "POST each message to it; may be repeated")
	set.List(&o.Get, "get", "URL", "GET it for each message, which replaces %s in it; may be repeated")
	set.String(&o.ContentType, "content-type", "TYPE", "Content-Type of POST requests")
	set.List(&o.Headers, "header", "KEY: VALUE", "header of the requests; may be repeated")
	set.OneOf(&o.Mode, "mode", poolModes, "how one of several URLs is chosen")
	set.Func("sample", "SHARE", "1.0", "a number from 0 to 1", "share of the messages that is passed on, the others are finished",
		func(v string) error {
			share, err := strconv.ParseFloat(v, 64)
			if err == nil && !(share >= 0 && share <= 1) {
				err = fmt.Errorf("%v is out of range", share)
			}
			o.Sample = share
			return err
		})
	set.Int(&o.Publishers, "n", 1, 1e5, "requests at a time")
	set.Int(&o.StatusEvery, "status-every", 0, 1e9, "log response times after so many requests; 0: never")
	timeouts(set, &o.ConnectTimeout, &o.RequestTimeout)
	t.output()
	if more, err := t.parse(p, "usage: nsq_to_http --topic=TOPIC --nsqd-tcp-address=HOST:PORT --post=URL"); !more {
		return err
	}
	if topic != "" {
		o.Source.Topics = []string{topic}
	}
	var err error
	if o.Source.Config, err = tools.NewConfig(t.name, *consumerOptions); err != nil {
		return t.refuseOptions("consumer-opt", err)
	}
	if err := o.Validate(); err != nil {
		return usageError(t.name, err)
	}
	o.Source.Logger = t.logger(p)
	return t.failed(tohttp.Run(ctx, o))
}
