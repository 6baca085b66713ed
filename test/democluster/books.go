package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/nsqio/go-nsq"
)

// books are kept of every invoice: what was answered OK, and what was delivered how often.
type books struct {
	mu       sync.Mutex
	ok       map[string]bool
	received map[string]int
}

func newBooks() *books { return &books{ok: make(map[string]bool), received: make(map[string]int)} }

func (b *books) acknowledged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ok)
}

func (b *books) delivered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.received)
}

// missing counts the acknowledged invoices that were not delivered.
func (b *books) missing() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for invoice := range b.ok {
		if b.received[invoice] == 0 {
			n++
		}
	}
	return n
}

func (b *books) duplicates() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, times := range b.received {
		if times > 1 {
			n++
		}
	}
	return n
}

var silence = log.New(io.Discard, "", 0)

// consume starts an ordinary consumer; stop ends it.
func (b *books) consume(lookups []string) (stop func(), err error) {
	config := nsq.NewConfig()
	config.MaxInFlight = 100
	config.LookupdPollInterval = time.Second
	c, err := nsq.NewConsumer(topic, channel, config)
	if err != nil {
		return nil, err
	}
	c.SetLogger(silence, nsq.LogLevelError)
	c.AddConcurrentHandlers(nsq.HandlerFunc(func(m *nsq.Message) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.received[string(m.Body)]++
		return nil
	}), 4)
	if err := c.ConnectToNSQLookupds(lookups); err != nil {
		return nil, err
	}
	return func() { c.Stop(); <-c.StopChan }, nil
}

// publish publishes invoices at a node, sixteen at a time, and goes on at the next node where one does not answer.
func (b *books) publish(ctx context.Context, at, invoices int) error {
	const parallel = 16
	errs := make(chan error, parallel)
	for k := range parallel {
		go func() { errs <- b.clerk(ctx, at, k, invoices/parallel) }()
	}
	for range parallel {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// clerk publishes one invoice after the other.
func (b *books) clerk(ctx context.Context, at, k, invoices int) error {
	node := at
	producer, err := newProducer(node)
	if err != nil {
		return err
	}
	defer func() { producer.Stop() }()
	for i := 0; i < invoices; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		invoice := fmt.Sprintf("invoice %d-%d-%d", at+1, k, i)
		if err := producer.Publish(topic, []byte(invoice)); err != nil {
			producer.Stop()
			node = (node + 1) % count
			if producer, err = newProducer(node); err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
			continue
		}
		b.mu.Lock()
		b.ok[invoice] = true
		b.mu.Unlock()
		i++
	}
	return nil
}

func newProducer(node int) (*nsq.Producer, error) {
	producer, err := nsq.NewProducer(address(node, "4150"), nsq.NewConfig())
	if err == nil {
		producer.SetLogger(silence, nsq.LogLevelError)
	}
	return producer, err
}
