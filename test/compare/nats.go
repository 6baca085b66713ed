package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsServer is a nats-server with JetStream on files, one replica; sync is its sync_interval, "" for the default.
func natsServer(name, sync, binary string) server {
	return server{
		name: name, missing: wants(binary, "build it: make peers"),
		start: func(dir string) (running, error) {
			addresses, err := freeAddresses(1)
			if err != nil {
				return nil, err
			}
			config := fmt.Sprintf("listen: %q\njetstream { store_dir: %q", addresses[0], filepath.Join(dir, "jetstream"))
			if sync != "" {
				config += "\n  sync_interval: " + sync
			}
			path := filepath.Join(dir, "nats.conf")
			if err := os.WriteFile(path, []byte(config+"\n}\n"), 0o600); err != nil {
				return nil, err
			}
			process, err := startProcess(dir, addresses[0], nil, binary, "-c", path)
			if err != nil {
				return nil, err
			}
			return &peer{process: process, client: &natsClient{url: "nats://" + addresses[0]}}, nil
		},
	}
}

// natsClient is nats.go.
type natsClient struct {
	url    string
	conn   *nats.Conn
	stream jetstream.Stream
	count  int
}

const natsSubject = "bench"

func (c *natsClient) open() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var err error
	if c.conn, err = nats.Connect(c.url); err != nil {
		return err
	}
	stream, err := jetstream.New(c.conn)
	if err != nil {
		return err
	}
	c.count++
	c.stream, err = stream.CreateStream(ctx, jetstream.StreamConfig{
		Name: fmt.Sprintf("bench%d", c.count), Subjects: []string{natsSubject}, Storage: jetstream.FileStorage, Replicas: 1,
	})
	return err
}

func (c *natsClient) drop() error {
	defer c.conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	stream, err := jetstream.New(c.conn)
	if err != nil {
		return err
	}
	return stream.DeleteStream(ctx, c.stream.CachedInfo().Config.Name)
}

func (c *natsClient) publisher() (publisher, error) {
	conn, err := nats.Connect(c.url)
	if err != nil {
		return nil, err
	}
	stream, err := jetstream.New(conn)
	return &natsPublisher{conn, stream}, err
}

func (c *natsClient) consume(handle func([]byte)) (func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	consumer, err := c.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "bench", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10_000,
	})
	if err != nil {
		return nil, err
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		handle(m.Data())
		_ = m.Ack() // of a message whose acknowledgement is lost the server would send another, which is noticed
	}, jetstream.PullMaxMessages(500))
	if err != nil {
		return nil, err
	}
	return func() { consuming.Stop(); <-consuming.Closed() }, nil
}

// natsPublisher is one connection.
type natsPublisher struct {
	conn   *nats.Conn
	stream jetstream.JetStream
}

func (p *natsPublisher) close() { p.conn.Close() }

func (p *natsPublisher) publish(body []byte) error {
	_, err := p.stream.Publish(context.Background(), natsSubject, body)
	return err
}

func (p *natsPublisher) pipeline(window int, next func() []byte) (int64, error) {
	var refused atomic.Int64
	stream, err := jetstream.New(p.conn, jetstream.WithPublishAsyncMaxPending(window),
		jetstream.WithPublishAsyncErrHandler(func(jetstream.JetStream, *nats.Msg, error) { refused.Add(1) }))
	if err != nil {
		return 0, err
	}
	sent := int64(0)
	for body := next(); body != nil; body = next() {
		if _, err := stream.PublishAsync(natsSubject, body, jetstream.WithStallWait(idleTimeout)); err != nil {
			return 0, err
		}
		sent++
	}
	select {
	case <-stream.PublishAsyncComplete():
	case <-time.After(stopTimeout):
		return 0, fmt.Errorf("%d messages without an acknowledgement", stream.PublishAsyncPending())
	}
	if n := refused.Load(); n > 0 {
		return 0, fmt.Errorf("%d of %d messages were refused", n, sent)
	}
	return sent, nil
}
