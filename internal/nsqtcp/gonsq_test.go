package nsqtcp

import (
	"fmt"
	"io"
	"log"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"
)

// go-nsq is the client most users have.

func goNSQProducer(t *testing.T, addr string) *nsq.Producer {
	t.Helper()
	p, err := nsq.NewProducer(addr, nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	p.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelError)
	t.Cleanup(p.Stop)
	return p
}

// goNSQConsumer consumes until the test ends.
func goNSQConsumer(t *testing.T, addr, topic, channel string, handle nsq.HandlerFunc, change func(*nsq.Config)) *nsq.Consumer {
	t.Helper()
	config := nsq.NewConfig()
	config.MaxInFlight = 100
	config.LowRdyIdleTimeout = time.Second
	if change != nil {
		change(config)
	}
	c, err := nsq.NewConsumer(topic, channel, config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelError)
	c.AddConcurrentHandlers(handle, 4)
	if err := c.ConnectToNSQD(addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(); <-c.StopChan })
	return c
}

func TestGoNSQPublishesAndConsumesEverything(t *testing.T) {
	t.Parallel()
	_, addr, _ := startBroker(t, Options{})
	const total = 5000
	var mu sync.Mutex
	seen := make(map[string]int)
	var count atomic.Int64
	for range 2 {
		goNSQConsumer(t, addr, "t", "c", func(m *nsq.Message) error {
			mu.Lock()
			defer mu.Unlock()
			seen[string(m.Body)]++
			count.Add(1)
			return nil
		}, nil)
	}
	var wg sync.WaitGroup
	for g := range 10 {
		p := goNSQProducer(t, addr)
		wg.Go(func() {
			for i := range total / 10 / 2 {
				if err := p.Publish("t", fmt.Appendf(nil, "%d-%d", g, i)); err != nil {
					t.Error(err)
				}
			}
			var bodies [][]byte
			for i := range total / 10 / 2 {
				bodies = append(bodies, fmt.Appendf(nil, "%d-m%d", g, i))
			}
			if err := p.MultiPublish("t", bodies); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	eventually(t, "all messages", func() bool { return count.Load() >= total })
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != total || count.Load() != total {
		t.Fatalf("%d different messages, %d deliveries of %d", len(seen), count.Load(), total)
	}
}

func TestGoNSQRequeuesTouchesAndDefers(t *testing.T) {
	t.Parallel()
	_, addr, _ := startBroker(t, Options{})
	p := goNSQProducer(t, addr)
	type delivery struct {
		body     string
		attempts uint16
		at       time.Time
	}
	deliveries := make(chan delivery, 100)
	goNSQConsumer(t, addr, "t", "c", func(m *nsq.Message) error {
		deliveries <- delivery{string(m.Body), m.Attempts, time.Now()}
		switch string(m.Body) {
		case "again":
			if m.Attempts < 3 {
				m.RequeueWithoutBackoff(50 * time.Millisecond)
			}
		case "slow": // longer than the msg_timeout
			for range 4 {
				time.Sleep(400 * time.Millisecond)
				m.Touch()
			}
		}
		return nil
	}, func(c *nsq.Config) { c.MsgTimeout = time.Second })
	start := time.Now()
	if err := p.DeferredPublish("t", 300*time.Millisecond, []byte("later")); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"again", "slow"} {
		if err := p.Publish("t", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	counts := map[string]int{}
	for range 5 {
		select {
		case d := <-deliveries:
			counts[d.body]++
			if int(d.attempts) != counts[d.body] {
				t.Errorf("delivery %d of %s is attempt %d", counts[d.body], d.body, d.attempts)
			}
			if d.body == "later" && d.at.Sub(start) < 300*time.Millisecond {
				t.Errorf("deferred message after %v", d.at.Sub(start))
			}
		case <-time.After(patience):
			t.Fatalf("only %v", counts)
		}
	}
	select {
	case d := <-deliveries:
		t.Errorf("one too many: %+v", d)
	case <-time.After(1200 * time.Millisecond):
	}
	if fmt.Sprint(counts) != "map[again:3 later:1 slow:1]" {
		t.Errorf("got %v", counts)
	}
}

func TestGoNSQSurvivesHeartbeatsWithoutTraffic(t *testing.T) {
	t.Parallel()
	server, addr, _ := startBroker(t, Options{})
	got := make(chan string, 10)
	goNSQConsumer(t, addr, "t", "c", func(m *nsq.Message) error { got <- string(m.Body); return nil },
		func(c *nsq.Config) { c.HeartbeatInterval = time.Second })
	p := goNSQProducer(t, addr)
	time.Sleep(2500 * time.Millisecond)
	if server.Connections() != 1 {
		t.Fatalf("%d connections after two heartbeats", server.Connections())
	}
	if err := p.Publish("t", []byte("still there")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

func TestGoNSQSeesRefusals(t *testing.T) {
	_, addr, _ := startBroker(t, Options{MaxMsgSize: 10})
	p := goNSQProducer(t, addr)
	if err := p.Publish("t", []byte("much too long for it")); err == nil || err.Error() != "E_BAD_MESSAGE PUB message too big 20 > 10" {
		t.Errorf("got %v", err)
	}
	if err := goNSQProducer(t, addr).Publish("bad/name", []byte("x")); err == nil {
		t.Error("a bad name is accepted")
	}
	if err := goNSQProducer(t, addr).Publish("t", []byte("fine")); err != nil {
		t.Error(err)
	}
}
