// Package tail is nsq_tail: it writes the messages of topics to a stream, one a line, by an ephemeral channel of its own unless
// told otherwise. A message is finished after it is written.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
)

// Options of one run.
type Options struct {
	// Source says where the messages come from.
	Source tools.Source
	// Messages is how many are shown, of all topics together; 0: all that come until the end.
	Messages int
	// PrintTopic puts the topic before each message: "topic | ".
	PrintTopic bool
	// Out gets the messages.
	Out io.Writer
}

// DefaultOptions returns the defaults, with a channel that nobody else has; topics, addresses and Config of the source, and Out,
// are still to be set.
func DefaultOptions() Options {
	return Options{Source: tools.NewSource(fmt.Sprintf("tail%06d#ephemeral", rand.IntN(1e6)))}
}

// Validate reports the first field that cannot be used.
func (o *Options) Validate() error {
	if o.Messages < 0 {
		return errors.New("--n must not be negative")
	}
	return o.Source.RequireTopic()
}

// Run shows messages until ctx ends, enough are shown, or Out cannot be written to; that, and a first connection that fails, is
// an error.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if o.Messages > 0 {
		o.Source.MaxInFlight = min(o.Source.MaxInFlight, o.Messages) // no more than are wanted
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &printer{o: &o, stop: stop}
	err := o.Source.Consume(ctx, 1, func(topic string) nsq.HandlerFunc {
		return func(m *nsq.Message) error { return t.show(topic, m) }
	})
	return errors.Join(err, t.err)
}

// printer writes the messages of all topics.
type printer struct {
	o    *Options
	stop context.CancelFunc

	mu    sync.Mutex // guards what follows, and writing: it is the only thing that the topics share
	shown int
	line  []byte
	err   error
}

// show writes one message as one line, or gives it back if it is too late for that.
func (t *printer) show(topic string, m *nsq.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil || t.o.Messages > 0 && t.shown == t.o.Messages {
		m.RequeueWithoutBackoff(0)
		return nil
	}
	t.line = t.line[:0]
	if t.o.PrintTopic {
		t.line = append(append(t.line, topic...), " | "...)
	}
	t.line = append(append(t.line, m.Body...), '\n')
	if _, t.err = t.o.Out.Write(t.line); t.err != nil {
		t.err = fmt.Errorf("show a message: %w", t.err)
		t.stop()
		m.RequeueWithoutBackoff(0)
		return nil
	}
	if t.shown++; t.shown == t.o.Messages {
		t.stop()
	}
	return nil
}
