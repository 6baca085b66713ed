package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// rabbitServer is a RabbitMQ with quorum queues, as Debian packages it, under a node name, an Erlang cookie, directories and a
// port mapper (epmd) of its own: nothing of it is left when it has ended.
func rabbitServer(name, binary string) server {
	return server{
		name: name, missing: wants(binary, "Debian: apt-get install rabbitmq-server"),
		start: func(dir string) (running, error) {
			epmd, err := exec.LookPath("epmd")
			if err != nil {
				return nil, err
			}
			addresses, err := freeAddresses(3)
			if err != nil {
				return nil, err
			}
			_, amqpPort, _ := net.SplitHostPort(addresses[0])
			_, distPort, _ := net.SplitHostPort(addresses[1])
			_, mapperPort, _ := net.SplitHostPort(addresses[2])
			environment := []string{
				"HOME=" + dir, "ERL_EPMD_PORT=" + mapperPort, "ERL_EPMD_ADDRESS=127.0.0.1",
				"RABBITMQ_NODENAME=weir-compare-" + strconv.Itoa(os.Getpid()) + "@localhost",
				"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=" + amqpPort, "RABBITMQ_DIST_PORT=" + distPort,
				"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
				"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "none"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "plugins"),
				"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(dir, "environment"),
				"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
			}
			mapper, err := startProcess(dir, addresses[2], environment, epmd, "-address", "127.0.0.1", "-port", mapperPort)
			if err != nil {
				return nil, err
			}
			process, err := startProcess(dir, addresses[0], environment, binary)
			if err != nil {
				return nil, errors.Join(err, mapper.end())
			}
			return &peer{process: process, also: mapper, client: &rabbitClient{url: "amqp://guest:guest@" + addresses[0] + "/"}}, nil
		},
	}
}

// rabbitClient is amqp091-go.
type rabbitClient struct {
	url     string
	conn    *amqp.Connection
	channel *amqp.Channel
	count   int
}

func (c *rabbitClient) queue() string { return fmt.Sprintf("bench%d", c.count) }

func (c *rabbitClient) open() (err error) {
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(100 * time.Millisecond) { // it listens before it is ready
		if c.conn, err = amqp.Dial(c.url); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		return err
	}
	if c.channel, err = c.conn.Channel(); err != nil {
		return err
	}
	c.count++
	_, err = c.channel.QueueDeclare(c.queue(), true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	return err
}

func (c *rabbitClient) drop() error {
	_, err := c.channel.QueueDelete(c.queue(), false, false, false)
	return errors.Join(err, c.conn.Close())
}

func (c *rabbitClient) publisher() (publisher, error) {
	conn, err := amqp.Dial(c.url)
	if err != nil {
		return nil, err
	}
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	return &rabbitPublisher{conn, channel, c.queue()}, channel.Confirm(false)
}

// consume acknowledges in groups of up to a hundred.
func (c *rabbitClient) consume(handle func([]byte)) (func(), error) {
	conn, err := amqp.Dial(c.url)
	if err != nil {
		return nil, err
	}
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Qos(1000, 0, false); err != nil {
		return nil, err
	}
	deliveries, err := channel.Consume(c.queue(), "", false, false, false, false, nil)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		owed := 0
		for d := range deliveries {
			handle(d.Body)
			if owed++; owed == 100 || len(deliveries) == 0 {
				_ = d.Ack(true) // of a message that is not acknowledged the server would send another, which is noticed
				owed = 0
			}
		}
	}()
	return func() { conn.Close(); <-done }, nil
}

// rabbitPublisher is one connection with one channel that confirms.
type rabbitPublisher struct {
	conn    *amqp.Connection
	channel *amqp.Channel
	queue   string
}

func (p *rabbitPublisher) close() { p.conn.Close() }

func (p *rabbitPublisher) send(body []byte) (*amqp.DeferredConfirmation, error) {
	return p.channel.PublishWithDeferredConfirm("", p.queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
}

func (p *rabbitPublisher) publish(body []byte) error {
	confirmation, err := p.send(body)
	if err != nil {
		return err
	}
	return confirmed(confirmation)
}

// confirmed waits for a confirmation.
func confirmed(c *amqp.DeferredConfirmation) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	ok, err := c.WaitContext(ctx)
	if err == nil && !ok {
		err = errors.New("a message was refused")
	}
	return err
}

func (p *rabbitPublisher) pipeline(window int, next func() []byte) (int64, error) {
	waiting, failed := make(chan *amqp.DeferredConfirmation, window), make(chan error, 1)
	count, over := int64(0), make(chan struct{})
	go func() {
		defer close(over)
		for c := range waiting {
			if err := confirmed(c); err != nil {
				failed <- err
				return
			}
			count++
		}
	}()
	for body := next(); body != nil; body = next() {
		confirmation, err := p.send(body)
		if err != nil {
			return 0, err
		}
		select {
		case waiting <- confirmation:
		case err := <-failed:
			return 0, err
		}
	}
	close(waiting)
	<-over
	select {
	case err := <-failed:
		return 0, err
	default:
		return count, nil
	}
}
