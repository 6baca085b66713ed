package nsqtcp

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// backend is what sessions use of a broker. Tests put one in its place that fails and stalls at will.
type backend interface {
	// topic returns the topic of that name, if it exists.
	topic(name string) (topic, bool)
	// createTopic returns the topic of that name, made if needed. It blocks for the disk.
	createTopic(ctx context.Context, name string) (topic, error)
	// subscribe enters a channel, made if needed. It blocks for the disk.
	subscribe(ctx context.Context, topic, channel string, c broker.Client, o broker.SubscribeOptions) (subscription, error)
}

// topic is what sessions use of a broker.Topic.
type topic interface {
	Publish(p *broker.Proposal)
}

// subscription is what sessions use of a broker.Subscription; the contracts are there.
type subscription interface {
	SetReady(n int)
	Pull(max, maxBytes int, sink broker.Sink) (int, error)
	Finish(ids []broker.MessageID, failed func(i int, err error))
	Requeue(id broker.MessageID, delay time.Duration) error
	Touch(id broker.MessageID) error
	StartClose()
	Close()
}

// realBackend is the backend of a broker.
type realBackend struct{ broker *broker.Broker }

func (b realBackend) topic(name string) (topic, bool) {
	t, ok := b.broker.Topic(name)
	return t, ok
}

func (b realBackend) createTopic(ctx context.Context, name string) (topic, error) {
	t, err := b.broker.CreateTopic(ctx, name)
	if err != nil {
		return nil, err // never a nil *broker.Topic in a topic
	}
	return t, nil
}

func (b realBackend) subscribe(ctx context.Context, topic, channel string, c broker.Client, o broker.SubscribeOptions) (subscription, error) {
	s, err := b.broker.Subscribe(ctx, topic, channel, c, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}
