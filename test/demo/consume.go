package main

import (
	"sync"
	"time"

	"github.com/nsqio/go-nsq"
)

// consumer is an ordinary go-nsq program: it counts the lines that it gets.
type consumer struct {
	nsq *nsq.Consumer
	mu  sync.Mutex
	n   int
	got lineCounts
}

func consume(addr, topic, channel string) (*consumer, error) {
	cfg := nsq.NewConfig()
	cfg.MaxInFlight = 500
	cfg.LookupdPollInterval = 100 * time.Millisecond // it is also the pause before a reconnect
	cfg.LookupdPollJitter = 0
	cfg.UserAgent = "weir-demo"
	n, err := nsq.NewConsumer(topic, channel, cfg)
	if err != nil {
		return nil, err
	}
	n.SetLogger(nil, nsq.LogLevelError) // broken connections are the point of the demonstration
	c := &consumer{nsq: n, got: lineCounts{}}
	n.AddHandler(c)
	return c, n.ConnectToNSQD(addr)
}

// HandleMessage implements nsq.Handler.
func (c *consumer) HandleMessage(m *nsq.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[string(m.Body)]++
	c.n++
	return nil
}

// received returns the number of deliveries.
func (c *consumer) received() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// counts returns a copy of what was received.
func (c *consumer) counts() lineCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := make(lineCounts, len(c.got))
	for line, n := range c.got {
		copied[line] = n
	}
	return copied
}

// stop disconnects. It may be called again.
func (c *consumer) stop() {
	c.nsq.Stop()
	<-c.nsq.StopChan
}
