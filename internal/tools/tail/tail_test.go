package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tools"
)

// page is an Out that can be read while it is written.
type page struct {
	mu   sync.Mutex
	text strings.Builder
	err  error
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	return p.text.Write(b)
}

// setup starts a node with five messages in the backlog of each topic, and returns options that tail them.
func setup(t *testing.T, topics ...string) (Options, *page) {
	t.Helper()
	settings := node.DefaultOptions()
	settings.DataPath, settings.TCPAddress, settings.HTTPAddress = t.TempDir(), "127.0.0.1:0", ""
	settings.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Stop() })
	p, err := nsq.NewProducer(n.TCPAddr(), nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	p.SetLoggerLevel(nsq.LogLevelError)
	defer p.Stop()
	for i := range 5 {
		for _, topic := range topics {
			if err := p.Publish(topic, fmt.Appendf(nil, "%d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := &page{}
	o := DefaultOptions()
	o.Source.Topics, o.Source.NSQDs, o.Out = topics, []string{n.TCPAddr()}, out
	o.Source.Channel = "shown" // not ephemeral, so that the backlog is for it
	o.Source.Logger = settings.Logger
	if o.Source.Config, err = tools.NewConfig("nsq_tail", nil); err != nil {
		t.Fatal(err)
	}
	return o, out
}

func run(t *testing.T, o Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	err := Run(ctx, o)
	if ctx.Err() != nil {
		t.Fatal("it does not end")
	}
	return err
}

func TestSoManyMessagesAreShownAndTheRestStays(t *testing.T) {
	o, out := setup(t, "t")
	o.Messages = 3
	if err := run(t, o); err != nil {
		t.Fatal(err)
	}
	o.Messages = 2
	if err := run(t, o); err != nil {
		t.Fatal(err)
	}
	if got := out.text.String(); got != "0\n1\n2\n3\n4\n" {
		t.Errorf("got %q", got)
	}
}

func TestTheTopicIsShownBeforeTheMessage(t *testing.T) {
	o, out := setup(t, "a", "b")
	o.Messages, o.PrintTopic = 10, true
	if err := run(t, o); err != nil {
		t.Fatal(err)
	}
	if got := out.text.String(); strings.Count(got, "a | ") != 5 || !strings.Contains(got, "b | 4\n") {
		t.Errorf("got %q", got)
	}
}

func TestAMessageThatCannotBeShownStays(t *testing.T) {
	o, out := setup(t, "t")
	out.err = errors.New("closed pipe")
	if err := run(t, o); !errors.Is(err, out.err) {
		t.Fatalf("got %v", err)
	}
	out.err = nil
	o.Messages = 5
	if err := run(t, o); err != nil {
		t.Fatal(err)
	}
	if got := out.text.String(); strings.Count(got, "\n") != 5 {
		t.Errorf("got %q", got)
	}
}
