//go:build process

package topology

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// ledger is what was answered OK, and what arrived on each channel.
type ledger struct {
	mu      sync.Mutex
	sent    map[string]bool
	arrived map[string]map[string]bool // channel → bodies
}

func newLedger() *ledger {
	return &ledger{sent: map[string]bool{}, arrived: map[string]map[string]bool{}}
}

func (l *ledger) acknowledged(body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[body] = true
}

func (l *ledger) arrive(channel, body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.arrived[channel] == nil {
		l.arrived[channel] = map[string]bool{}
	}
	l.arrived[channel][body] = true
}

// missing returns what was acknowledged and did not arrive on a channel.
func (l *ledger) missing(channel string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for body := range l.sent {
		if !l.arrived[channel][body] {
			all = append(all, body)
		}
	}
	slices.Sort(all)
	return all
}

// publisher sends numbered messages to the broker beside it, each again until it is answered OK.
type publisher struct {
	done atomic.Int64
	end  sync.WaitGroup
}

// publishPause is the time between two messages of a publisher.
const publishPause = 10 * time.Millisecond

func startPublisher(t *testing.T, l *ledger, address, topic, name string, messages int) *publisher {
	t.Helper()
	producer, err := nsq.NewProducer(address, nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	producer.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelError)
	p := new(publisher)
	stopC := make(chan struct{})
	p.end.Go(func() {
		defer producer.Stop()
		for i := 0; i < messages; {
			body := fmt.Sprint(name, "/", i)
			if producer.Publish(topic, []byte(body)) == nil {
				l.acknowledged(body)
				i++
				p.done.Add(1)
			}
			select {
			case <-time.After(publishPause):
			case <-stopC:
				return
			}
		}
	})
	t.Cleanup(func() {
		close(stopC)
		p.end.Wait()
	})
	return p
}

// startConsumer consumes with go-nsq what the lookup services tell of, until the test ends.
func startConsumer(t *testing.T, l *ledger, topic, channel string, lookups []*daemon) {
	t.Helper()
	cfg := nsq.NewConfig()
	cfg.LookupdPollInterval = 500 * time.Millisecond
	cfg.HeartbeatInterval = time.Second
	cfg.ReadTimeout = 2500 * time.Millisecond // notices a silent network
	cfg.MsgTimeout = 2 * time.Second
	cfg.MaxInFlight = 30
	cfg.MaxAttempts = 0
	c, err := nsq.NewConsumer(topic, channel, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		l.arrive(channel, string(m.Body))
		return nil
	}))
	var addresses []string
	for _, d := range lookups {
		addresses = append(addresses, d.http)
	}
	if err := c.ConnectToNSQLookupds(addresses); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Stop()
		<-c.StopChan
	})
}

// startNSQJS consumes with nsqjs, as startConsumer does. Without node and nsqjs the test fails, unless WEIR_SKIP_NPM is set: then it
// reports false.
func startNSQJS(t *testing.T, l *ledger, topic, channel string, lookups []*daemon) bool {
	t.Helper()
	if os.Getenv("WEIR_SKIP_NPM") != "" {
		return false
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: install Node, or set WEIR_SKIP_NPM=1")
	}
	if _, err := os.Stat("../nsqjs/node_modules/nsqjs"); err != nil {
		t.Fatal("nsqjs is missing: run npm ci in test/nsqjs, or set WEIR_SKIP_NPM=1")
	}
	args := []string{"lookup.js", topic, channel}
	for _, d := range lookups {
		args = append(args, d.http)
	}
	script, err := proc.Start(proc.Spec{Path: node, Args: args, Dir: "../nsqjs"})
	if err != nil {
		t.Fatal(err)
	}
	stopC := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for stopped := false; !stopped; {
			select {
			case <-stopC:
				stopped = true
			case <-time.After(100 * time.Millisecond):
			}
			for line := range strings.Lines(script.Output()) {
				l.arrive(channel, strings.TrimSpace(line))
			}
		}
	})
	t.Cleanup(func() {
		script.Kill()
		if out := script.Output(); t.Failed() {
			t.Logf("end of nsqjs's output:\n%s", out[max(0, len(out)-1000):])
		}
		close(stopC)
		reading.Wait()
	})
	return true
}
