package tofile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
)

// Run consumes until ctx ends, then finishes what is on disk and disconnects; or until a file cannot be written, which is an
// error. A first connection that fails is an error too, a lost one is made again.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	for _, dir := range tools.Distinct([]string{o.OutputDir, o.dir()}) {
		if err := os.MkdirAll(dir, 0o770); err != nil {
			return fmt.Errorf("output directory: %w", err)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &run{o: &o, stop: stop, pattern: regexp.MustCompile(o.TopicPattern), writers: map[string]*topicWriter{}}
	defer o.Meter.Start()()
	r.consumeAll(ctx, o.Source.Topics)
	r.manage(ctx)
	r.running.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.mu.errs...)
}

// run is one run: the topics' writers. Its goroutine owns the map.
type run struct {
	o       *Options
	stop    context.CancelFunc
	pattern *regexp.Regexp
	writers map[string]*topicWriter // two writers of one file would mix their lines
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		errs []error
	}
}

// manage looks for topics, if none are given, and passes requests to reopen on, until ctx ends.
func (r *run) manage(ctx context.Context) {
	var refreshC <-chan time.Time
	if len(r.o.Source.Topics) == 0 {
		r.discover(ctx)
		refresh := time.NewTicker(r.o.TopicRefresh)
		defer refresh.Stop()
		refreshC = refresh.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-refreshC:
			r.discover(ctx)
		case <-r.o.ReopenC:
			for _, w := range r.writers {
				select {
				case w.reopenC <- struct{}{}:
				default: // one is asked for already
				}
			}
		}
	}
}

// discover consumes the topics that the lookup services know and that are new.
func (r *run) discover(ctx context.Context) {
	topics, err := tools.Topics(ctx, r.o.Source.HTTPClient(), r.o.Source.Lookupds)
	if err != nil {
		r.o.Source.Logger.Error("cannot learn the topics, trying again", "in", r.o.TopicRefresh, "error", err)
	}
	r.consumeAll(ctx, topics)
}

// consumeAll begins to consume those of the topics that match the pattern and are not consumed yet. One that cannot be consumed,
// or not written, stops the program, so that somebody looks.
func (r *run) consumeAll(ctx context.Context, topics []string) {
	for _, topic := range topics {
		if r.writers[topic] != nil || !r.pattern.MatchString(topic) {
			continue
		}
		w, err := r.consume(topic)
		if err != nil {
			r.failed(err)
			return
		}
		r.writers[topic] = w
		r.running.Go(func() {
			if err := w.run(ctx); err != nil {
				r.failed(err)
			}
		})
	}
}

func (r *run) failed(err error) {
	r.mu.Lock()
	r.mu.errs = append(r.mu.errs, err)
	r.mu.Unlock()
	r.stop()
}

// consume connects one topic's consumer to its writer.
func (r *run) consume(topic string) (*topicWriter, error) {
	o := r.o
	source := o.Source
	cfg := *source.Config
	if cfg.MsgTimeout == 0 && o.SyncInterval >= 30*time.Second {
		cfg.MsgTimeout = 2 * o.SyncInterval // a message waits for its sync unfinished
	}
	source.Config = &cfg
	consumer, err := source.Consumer(topic)
	if err != nil {
		return nil, err
	}
	w := &topicWriter{o: o, topic: topic, consumer: consumer, reopenC: make(chan struct{}, 1),
		messageC: make(chan *nsq.Message, source.MaxInFlight), out: output{o: o, topic: topic}}
	consumer.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		m.DisableAutoResponse()
		w.messageC <- m // run receives until the consumer has stopped
		return nil
	}))
	if err := source.Connect(consumer); err != nil {
		w.refuse()
		return nil, fmt.Errorf("consume %s: %w", topic, err)
	}
	return w, nil
}
