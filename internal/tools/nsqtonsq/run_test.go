package nsqtonsq

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tools"
)

func startNode(t *testing.T, dir, address string) *node.Node {
	t.Helper()
	o := node.DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress = dir, address, ""
	o.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func produce(t *testing.T, address, topic string, bodies ...string) {
	t.Helper()
	p, err := nsq.NewProducer(address, nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	p.SetLoggerLevel(nsq.LogLevelError)
	defer p.Stop()
	for _, body := range bodies {
		if err := p.Publish(topic, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
}

// received consumes a topic of a node and counts the bodies.
type received struct {
	mu     sync.Mutex
	counts map[string]int
}

func receive(t *testing.T, address, topic string) *received {
	t.Helper()
	r := &received{counts: map[string]int{}}
	cfg := nsq.NewConfig()
	cfg.LookupdPollInterval = 20 * time.Millisecond
	c, err := nsq.NewConsumer(topic, "test", cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetLoggerLevel(nsq.LogLevelMax)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.counts[string(m.Body)]++
		return nil
	}))
	if err := c.ConnectToNSQD(address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(); <-c.StopChan })
	return r
}

func (r *received) distinct() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.counts)
}

func testOptions(t *testing.T, from string, to ...string) Options {
	t.Helper()
	o := DefaultOptions()
	o.Source.Topics, o.Source.NSQDs, o.Destinations = []string{"t"}, []string{from}, to
	o.Source.Logger = slog.New(slog.DiscardHandler)
	o.Meter.Logger = o.Source.Logger
	var err error
	if o.Source.Config, err = tools.NewConfig("nsq_to_nsq", []string{"default_requeue_delay,0s", "backoff_multiplier,5ms", "max_backoff_duration,20ms"}); err != nil {
		t.Fatal(err)
	}
	if o.ProducerConfig, err = tools.NewConfig("nsq_to_nsq", nil); err != nil {
		t.Fatal(err)
	}
	return o
}

// background runs the tool; the function that is returned stops it and returns its error.
func background(o Options) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	doneC := make(chan error, 1)
	go func() { doneC <- Run(ctx, o) }()
	return func() error { cancel(); return <-doneC }
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func numbered(n int) (bodies []string) {
	for i := range n {
		bodies = append(bodies, fmt.Sprintf(`{"n":%d}`, i))
	}
	return bodies
}

func TestEachMessageReachesOneOfTheDestinations(t *testing.T) {
	from, a, b := startNode(t, t.TempDir(), "127.0.0.1:0"), startNode(t, t.TempDir(), "127.0.0.1:0"), startNode(t, t.TempDir(), "127.0.0.1:0")
	defer from.Stop()
	defer a.Stop()
	defer b.Stop()
	produce(t, from.TCPAddr(), "t", numbered(200)...)
	o := testOptions(t, from.TCPAddr(), a.TCPAddr(), b.TCPAddr())
	o.Mode, o.DestinationTopic = "round-robin", "other"
	stop := background(o)
	atA, atB := receive(t, a.TCPAddr(), "other"), receive(t, b.TCPAddr(), "other")
	eventually(t, "all messages", func() bool { return atA.distinct()+atB.distinct() == 200 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if atA.distinct() != 100 || o.Meter.Done.Load() != 200 {
		t.Errorf("%d at one destination, %d done", atA.distinct(), o.Meter.Done.Load())
	}
}

func TestMessagesWaitForADestinationThatIsGone(t *testing.T) {
	data := t.TempDir()
	from, to := startNode(t, t.TempDir(), "127.0.0.1:0"), startNode(t, data, "127.0.0.1:0")
	defer from.Stop()
	address := to.TCPAddr()
	o := testOptions(t, from.TCPAddr(), address)
	stop := background(o)
	produce(t, from.TCPAddr(), "t", numbered(20)...)
	eventually(t, "the first messages", func() bool { return o.Meter.Done.Load() == 20 })
	if err := to.Stop(); err != nil {
		t.Fatal(err)
	}
	produce(t, from.TCPAddr(), "t", "late")
	eventually(t, "failures", func() bool { return o.Meter.Failed.Load() > 5 })
	to = startNode(t, data, address)
	defer to.Stop()
	got := receive(t, address, "t")
	eventually(t, "all messages", func() bool { return got.distinct() == 21 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatTheFilterLeavesOutIsFinished(t *testing.T) {
	from, to := startNode(t, t.TempDir(), "127.0.0.1:0"), startNode(t, t.TempDir(), "127.0.0.1:0")
	defer from.Stop()
	defer to.Stop()
	produce(t, from.TCPAddr(), "t", "not JSON", `{"n":1}`, `{"m":1}`, `{"n":2}`)
	o := testOptions(t, from.TCPAddr(), to.TCPAddr())
	o.Filter = Filter{RequireField: "n"}
	stop := background(o)
	got := receive(t, to.TCPAddr(), "t")
	eventually(t, "two passed and two left out", func() bool { return o.Meter.Done.Load() == 2 && o.Meter.Skipped.Load() == 2 })
	eventually(t, "the two", func() bool { return got.distinct() == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
