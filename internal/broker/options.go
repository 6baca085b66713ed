package broker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Options configure a Broker. The zero value of a field means its default.
type Options struct {
	// Logger takes what an operator should know. Default: discard.
	Logger *slog.Logger
	// Cluster is the other nodes; nil on a lone node. Default: nil.
	Cluster Cluster
	// MaxMsgTimeout caps how long TOUCH can keep a message in flight, counted from its delivery. Default 15m.
	MaxMsgTimeout time.Duration
	// MaxUnfinished bounds the messages of a channel that were read ahead or deferred and are not finished; at the bound the
	// channel reads no further, and the topic takes no more deferred messages. Default 4,000,000.
	MaxUnfinished int
	// MaxChannelConsumers bounds the subscriptions of one channel. Default 0: no bound.
	MaxChannelConsumers int
	// LatencyQuantiles are the quantiles, above 0 to 1, of the time from publish to finish that are measured for each channel. Default
	// none: nothing is measured.
	LatencyQuantiles []float64
	// LatencyWindow is over what time they are measured. Default 10m.
	LatencyWindow time.Duration
	// KnownChannels returns the durable channels that a new topic has elsewhere; they are made with it and get its first message. It
	// may wait for a moment, and is called under no lock. Default: none.
	KnownChannels func(ctx context.Context, topic string) []string
	// EphemeralMessages bounds the messages that an ephemeral topic or channel keeps; the oldest are dropped and counted.
	// Default 10,000.
	EphemeralMessages int
	// EphemeralBytes bounds the batches that an ephemeral topic keeps, in bytes; the oldest are dropped. Default 64 MiB.
	EphemeralBytes int64
	// FlushInterval is how often finishes and requeues are recorded. Default 50ms.
	FlushInterval time.Duration
	// CheckpointBytes is how much log may follow a partition's checkpoint before the next one is written. Default 16 MiB.
	CheckpointBytes int64
	// PublishBytes bounds the batches of all topics that wait for their commit; publishers beyond it wait. Default 64 MiB.
	PublishBytes int64
	// Retain says how long finished messages are kept for replay and browsing. Default 24h; negative: not at all.
	Retain time.Duration
	// RetainBytes bounds the log of a topic that is kept only for replay. Default 1 GiB.
	RetainBytes int64
	// KeepInterval is how often checkpoints and retention are looked at. Default 1s.
	KeepInterval time.Duration
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.KnownChannels == nil {
		o.KnownChannels = func(context.Context, string) []string { return nil }
	}
	o.MaxMsgTimeout = cmp.Or(o.MaxMsgTimeout, 15*time.Minute)
	o.MaxUnfinished = cmp.Or(o.MaxUnfinished, 4_000_000)
	o.LatencyWindow = cmp.Or(o.LatencyWindow, 10*time.Minute)
	o.EphemeralMessages = cmp.Or(o.EphemeralMessages, 10_000)
	o.EphemeralBytes = cmp.Or(o.EphemeralBytes, 64<<20)
	o.FlushInterval = cmp.Or(o.FlushInterval, 50*time.Millisecond)
	o.CheckpointBytes = cmp.Or(o.CheckpointBytes, 16<<20)
	o.PublishBytes = cmp.Or(o.PublishBytes, 64<<20)
	o.Retain = cmp.Or(o.Retain, 24*time.Hour)
	o.RetainBytes = cmp.Or(o.RetainBytes, 1<<30)
	o.KeepInterval = cmp.Or(o.KeepInterval, time.Second)
}

// Validate names the first field that is out of range.
func (o *Options) Validate() error {
	switch {
	case o.MaxUnfinished < 0:
		return fmt.Errorf("MaxUnfinished %d: must not be negative", o.MaxUnfinished)
	case o.MaxChannelConsumers < 0:
		return fmt.Errorf("MaxChannelConsumers %d: must not be negative", o.MaxChannelConsumers)
	case slices.ContainsFunc(o.LatencyQuantiles, func(q float64) bool { return !(q > 0 && q <= 1) }):
		return fmt.Errorf("LatencyQuantiles %v: must be above 0 and at most 1", o.LatencyQuantiles)
	case o.LatencyWindow < 0:
		return fmt.Errorf("LatencyWindow %v: must not be negative", o.LatencyWindow)
	case o.EphemeralMessages < 0 || o.EphemeralBytes < 0:
		return fmt.Errorf("EphemeralMessages %d, EphemeralBytes %d: must not be negative", o.EphemeralMessages, o.EphemeralBytes)
	case o.FlushInterval < 0 || o.FlushInterval > time.Second:
		return fmt.Errorf("FlushInterval %v: must be at most 1s", o.FlushInterval)
	case o.CheckpointBytes < 0 || o.PublishBytes < 0 || o.RetainBytes < 0:
		return fmt.Errorf("CheckpointBytes, PublishBytes, RetainBytes: must not be negative")
	}
	return nil
}
