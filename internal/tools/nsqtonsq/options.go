// Package nsqtonsq is nsq_to_nsq: it consumes topics and publishes their messages to other nsqds, all of them or those that a
// filter of JSON fields lets through.
//
// A message is finished only after a destination has answered OK to it. If its connection breaks before the answer, or it is
// refused, the message is requeued and tried again: at least once, until it succeeds. Messages that the filter leaves out are
// finished.
package nsqtonsq

import (
	"errors"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/pool"
)

// Options of one run.
type Options struct {
	// Source says where the messages come from.
	Source tools.Source
	// DestinationTopic gets the messages of all topics; empty: each keeps its topic.
	DestinationTopic string
	// Destinations are the TCP addresses of nsqds; each message goes to one of them.
	Destinations []string
	// ProducerConfig is go-nsq's, for the destinations.
	ProducerConfig *nsq.Config
	// Mode says how one of several destinations is chosen, see package pool. Default hostpool.
	Mode string
	// Filter chooses and shortens messages.
	Filter Filter
	// StatusEvery logs response times once for so many messages; 0: never. Default 250.
	StatusEvery int
	// Meter counts the messages.
	Meter *tools.Meter
}

// DefaultOptions returns the defaults; the source's topics, addresses and Config, the destinations and ProducerConfig are still
// to be set.
func DefaultOptions() Options {
	return Options{Source: tools.NewSource("nsq_to_nsq"), Mode: pool.HostPool, StatusEvery: 250, Meter: tools.NewMeter("nsq_to_nsq")}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	if err := o.Source.RequireTopic(); err != nil {
		return err
	}
	switch {
	case len(o.Destinations) == 0:
		return errors.New("--destination-nsqd-tcp-address is required")
	case o.DestinationTopic != "" && !nsq.IsValidTopicName(o.DestinationTopic):
		return errors.New("--destination-topic is not a topic name")
	case o.Filter.RequireField == "" && o.Filter.RequireValue != "":
		return errors.New("--require-json-value needs --require-json-field")
	}
	return nil
}
