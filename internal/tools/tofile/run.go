package tofile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
)

// reconnectInterval is how long to wait before a lost nsqd is tried again.
const reconnectInterval = 2 * time.Second

// Run consumes until ctx ends, then finishes what is on disk and disconnects; or until a file cannot be written, which is an
// error. A first connection that fails is an error too, a lost one is made again.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.OutputDir, 0o770); err != nil {
		return fmt.Errorf("output directory: %w", err)
	}
	o.Topics = tools.Distinct(o.Topics) // two writers of one file would mix their lines
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	var running sync.WaitGroup
	errs := make([]error, len(o.Topics))
	for i, topic := range o.Topics {
		running.Go(func() {
			if errs[i] = consume(ctx, topic, &o); errs[i] != nil {
				stop() // one topic that cannot be written stops the program, so that somebody looks
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// consume runs one topic.
func consume(ctx context.Context, topic string, o *Options) error {
	cfg := *o.Config
	cfg.MaxInFlight = o.MaxInFlight
	if cfg.LookupdPollInterval == nsq.NewConfig().LookupdPollInterval {
		cfg.LookupdPollInterval = reconnectInterval // go-nsq's default, a minute, is meant for lookup
	}
	if cfg.MsgTimeout == 0 && o.SyncInterval >= 30*time.Second {
		cfg.MsgTimeout = 2 * o.SyncInterval // a message waits for its sync unfinished
	}
	consumer, err := nsq.NewConsumer(topic, o.Channel, &cfg)
	if err != nil {
		return fmt.Errorf("consume %s: %w", topic, err)
	}
	consumer.SetLogger(tools.Log{To: o.Logger.With("topic", topic)}, nsq.LogLevelDebug)

	w := &topicWriter{o: o, topic: topic, consumer: consumer,
		messageC: make(chan *nsq.Message, o.MaxInFlight)}
	consumer.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		m.DisableAutoResponse()
		w.messageC <- m // run receives until the consumer has stopped
		return nil
	}))
	if err := consumer.ConnectToNSQDs(o.Addresses); err != nil {
		consumer.Stop()
		w.refuse()
		return fmt.Errorf("consume %s: %w", topic, err)
	}
	return w.run(ctx)
}

// path returns where the topic's file lies now.
func (w *topicWriter) path(now time.Time) (string, error) {
	name, err := w.o.fileName(w.topic, now)
	if err != nil {
		return "", err
	}
	return filepath.Join(w.o.OutputDir, name), nil
}
