//go:build process

package test

import (
	"fmt"
	"log"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"
)

// TestGoNSQ has go-nsq, the reference client, use the real binary.
func TestGoNSQ(t *testing.T) {
	b := startBroker(t)
	producer, err := nsq.NewProducer(b.TCP(), nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	producer.SetLogger(nil, nsq.LogLevelError)
	t.Cleanup(producer.Stop)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *nsq.Producer, string)
	}{
		{"publishes and consumes", goNSQPublishes},
		{"requeues with a delay", goNSQRequeues},
		{"touches to keep a message", goNSQTouches},
		{"gets a message again after its timeout", goNSQTimesOut},
		{"defers", goNSQDefers},
		{"stays connected by heartbeats", goNSQHeartbeats},
	} {
		t.Run(test.name, func(t *testing.T) { t.Parallel(); test.run(t, producer, b.TCP()) })
	}
}

// seen is one delivery to a go-nsq handler.
type seen struct {
	body     string
	attempts uint16
	at       time.Time
	message  *nsq.Message
}

// goNSQConsume subscribes a consumer that hands every message over without answering it.
func goNSQConsume(t *testing.T, addr, topic string, change func(*nsq.Config)) (<-chan seen, *lockedLines) {
	t.Helper()
	cfg := nsq.NewConfig()
	cfg.MaxInFlight = 50
	if change != nil {
		change(cfg)
	}
	c, err := nsq.NewConsumer(topic, "work", cfg)
	if err != nil {
		t.Fatal(err)
	}
	lines := &lockedLines{}
	c.SetLogger(log.New(lines, "", 0), nsq.LogLevelDebug)
	deliveries := make(chan seen, 1000)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		m.DisableAutoResponse()
		deliveries <- seen{string(m.Body), m.Attempts, time.Now(), m}
		return nil
	}))
	if err := c.ConnectToNSQD(addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(); <-c.StopChan })
	return deliveries, lines
}

func next(t *testing.T, deliveries <-chan seen, patience time.Duration) seen {
	t.Helper()
	select {
	case s := <-deliveries:
		return s
	case <-time.After(patience):
		t.Fatalf("no message within %v", patience)
		return seen{}
	}
}

func none(t *testing.T, deliveries <-chan seen, during time.Duration) {
	t.Helper()
	select {
	case s := <-deliveries:
		t.Fatalf("%q came with attempts %d", s.body, s.attempts)
	case <-time.After(during):
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func goNSQPublishes(t *testing.T, producer *nsq.Producer, addr string) {
	deliveries, _ := goNSQConsume(t, addr, "go_publish", nil)
	want := map[string]bool{}
	var batch [][]byte
	for i := range 100 {
		one, many := fmt.Sprint("one ", i), fmt.Sprint("many ", i)
		want[one], want[many] = true, true
		must(t, producer.Publish("go_publish", []byte(one)))
		batch = append(batch, []byte(many))
	}
	must(t, producer.MultiPublish("go_publish", batch))
	done := make(chan *nsq.ProducerTransaction, 1)
	want["async"] = true
	must(t, producer.PublishAsync("go_publish", []byte("async"), done))
	must(t, (<-done).Error)
	for range len(want) {
		s := next(t, deliveries, 5*time.Second)
		if !want[s.body] || s.attempts != 1 {
			t.Errorf("%q came with attempts %d", s.body, s.attempts)
		}
		if age := time.Since(time.Unix(0, s.message.Timestamp)); age < -time.Second || age > 10*time.Second {
			t.Errorf("%q has a time stamp %v ago", s.body, age)
		}
		delete(want, s.body)
		s.message.Finish()
	}
	none(t, deliveries, 200*time.Millisecond)
}

func goNSQRequeues(t *testing.T, producer *nsq.Producer, addr string) {
	deliveries, _ := goNSQConsume(t, addr, "go_requeue", nil)
	must(t, producer.Publish("go_requeue", []byte("again")))
	for attempt := uint16(1); attempt <= 3; attempt++ {
		s := next(t, deliveries, 5*time.Second)
		if s.attempts != attempt {
			t.Errorf("attempts %d, want %d", s.attempts, attempt)
		}
		if attempt == 3 {
			s.message.Finish()
			break
		}
		asked := time.Now()
		s.message.RequeueWithoutBackoff(400 * time.Millisecond)
		none(t, deliveries, 390*time.Millisecond-time.Since(asked))
	}
	none(t, deliveries, 600*time.Millisecond)
}

func goNSQTouches(t *testing.T, producer *nsq.Producer, addr string) {
	deliveries, _ := goNSQConsume(t, addr, "go_touch", func(c *nsq.Config) { c.MsgTimeout = time.Second })
	must(t, producer.Publish("go_touch", []byte("slow")))
	s := next(t, deliveries, 5*time.Second)
	for range 5 {
		none(t, deliveries, 600*time.Millisecond)
		s.message.Touch()
	}
	s.message.Finish()
	none(t, deliveries, 1500*time.Millisecond)
}

func goNSQTimesOut(t *testing.T, producer *nsq.Producer, addr string) {
	deliveries, lines := goNSQConsume(t, addr, "go_timeout", func(c *nsq.Config) { c.MsgTimeout = time.Second })
	must(t, producer.Publish("go_timeout", []byte("forgotten")))
	first := next(t, deliveries, 5*time.Second)
	second := next(t, deliveries, 5*time.Second)
	if second.attempts != 2 || second.message.ID != first.message.ID {
		t.Errorf("after the timeout came %s with attempts %d, want %s with 2", second.message.ID, second.attempts, first.message.ID)
	}
	if took := second.at.Sub(first.at); took < 900*time.Millisecond || took > 1500*time.Millisecond {
		t.Errorf("the timeout of 1s fired after %v", took)
	}
	second.message.Finish()
	second.message = nil
	eventually(t, 3*time.Second, "a second FIN is refused", func() bool {
		if !first.message.HasResponded() {
			time.Sleep(100 * time.Millisecond) // let the first FIN be processed
			first.message.Finish()
		}
		return strings.Contains(lines.String(), "E_FIN_FAILED")
	})
	none(t, deliveries, 1500*time.Millisecond)
}

func goNSQDefers(t *testing.T, producer *nsq.Producer, addr string) {
	deliveries, _ := goNSQConsume(t, addr, "go_defer", nil)
	sent := time.Now()
	must(t, producer.DeferredPublish("go_defer", 1200*time.Millisecond, []byte("later")))
	must(t, producer.DeferredPublish("go_defer", 600*time.Millisecond, []byte("sooner")))
	must(t, producer.Publish("go_defer", []byte("now")))
	for _, want := range []struct {
		body  string
		after time.Duration
	}{{"now", 0}, {"sooner", 600 * time.Millisecond}, {"later", 1200 * time.Millisecond}} {
		s := next(t, deliveries, 5*time.Second)
		took := s.at.Sub(sent)
		if s.body != want.body || s.attempts != 1 || took < want.after-time.Millisecond || took > want.after+500*time.Millisecond {
			t.Errorf("%q came after %v with attempts %d, want %q after %v", s.body, took, s.attempts, want.body, want.after)
		}
		s.message.Finish()
	}
}

func goNSQHeartbeats(t *testing.T, producer *nsq.Producer, addr string) {
	deliveries, lines := goNSQConsume(t, addr, "go_heartbeat", func(c *nsq.Config) {
		c.HeartbeatInterval = time.Second
		c.ReadTimeout = 3 * time.Second
	})
	time.Sleep(5500 * time.Millisecond)
	if n := strings.Count(lines.String(), "heartbeat received"); n < 4 || n > 7 {
		t.Errorf("%d heartbeats in 5.5 s at an interval of 1 s", n)
	}
	if n := strings.Count(lines.String(), "connecting to nsqd"); n != 1 {
		t.Errorf("the consumer connected %d times", n)
	}
	must(t, producer.Publish("go_heartbeat", []byte("still here")))
	next(t, deliveries, 2*time.Second).message.Finish()
}

// lockedLines collects what a logger writes.
type lockedLines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lockedLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all that was written.
func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
