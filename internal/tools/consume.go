package tools

import (
	"context"
	"errors"
	"fmt"

	"github.com/nsqio/go-nsq"
)

// Consume consumes the topics of a source until ctx ends, and then waits for the handlers that are under way. Each topic has so
// many handlers at a time; handler makes what they call. A first connection that fails is an error.
func (s *Source) Consume(ctx context.Context, handlers int, handler func(topic string) nsq.HandlerFunc) error {
	var consumers []*nsq.Consumer
	var errs []error
	for _, topic := range Distinct(s.Topics) {
		consumer, err := s.Consumer(topic)
		if err == nil {
			consumer.AddConcurrentHandlers(handler(topic), handlers)
			consumers = append(consumers, consumer)
			err = s.Connect(consumer)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("consume %s: %w", topic, err))
			break
		}
	}
	if len(errs) == 0 {
		<-ctx.Done()
	}
	for _, consumer := range consumers {
		consumer.Stop()
	}
	for _, consumer := range consumers {
		<-consumer.StopChan
	}
	return errors.Join(errs...)
}
