// Package stat is nsq_stat: it asks brokers for the counters of one channel again and again, and writes their sum as a line of a
// table, with the rates since the line before.
package stat

import (
	"errors"
	"io"
	"time"

	"github.com/nsqio/go-nsq"
)

// Options of one run.
type Options struct {
	Topic   string
	Channel string
	// NSQDs are HTTP addresses of brokers, Lookupds those of lookup services, which know the brokers; one of them must be
	// given, not both.
	NSQDs    []string
	Lookupds []string
	// Interval is the time between two reports. Default 2s.
	Interval time.Duration
	// Count ends the run after so many reports; 0: never.
	Count int
	// ConnectTimeout and RequestTimeout bound the requests. Defaults 2s, 5s.
	ConnectTimeout time.Duration
	RequestTimeout time.Duration
	// Token is sent to brokers and lookup services, for nodes that ask for one; empty: none is.
	Token string
	// JSON writes each report as a JSON object on a line of its own instead.
	JSON bool
	// Out gets the reports.
	Out io.Writer
}

// DefaultOptions returns the defaults; Topic, Channel, addresses and Out are still to be set.
func DefaultOptions() Options {
	return Options{Interval: 2 * time.Second, ConnectTimeout: 2 * time.Second, RequestTimeout: 5 * time.Second}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	switch {
	case !nsq.IsValidTopicName(o.Topic):
		return errors.New("--topic is required, and must be a topic name")
	case !nsq.IsValidChannelName(o.Channel):
		return errors.New("--channel is required, and must be a channel name")
	case len(o.NSQDs) == 0 && len(o.Lookupds) == 0:
		return errors.New("--nsqd-http-address or --lookupd-http-address is required")
	case len(o.NSQDs) > 0 && len(o.Lookupds) > 0:
		return errors.New("--nsqd-http-address and --lookupd-http-address exclude each other")
	case o.Interval <= 0:
		return errors.New("--interval must be above 0")
	case o.Count < 0:
		return errors.New("--count must not be negative")
	}
	return nil
}
