package nsqtonsq

import (
	"context"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools"
	"github.com/weirmq/weir/internal/tools/pool"
	"github.com/weirmq/weir/internal/tools/publish"
)

// mostHandlers bounds the messages of a topic that are on their way at a time.
const mostHandlers = 1000

// Run passes messages on until ctx ends, and waits for those under way. A first connection to a broker that fails is an error;
// a destination that cannot be reached is tried again.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	r := newRelay(&o)
	defer r.close()
	defer o.Meter.Start()()
	return o.Source.Consume(ctx, min(o.Source.MaxInFlight, mostHandlers), func(topic string) nsq.HandlerFunc {
		if o.DestinationTopic != "" {
			topic = o.DestinationTopic
		}
		return func(m *nsq.Message) error { return r.handle(topic, m) }
	})
}

// relay passes messages on. Its methods are called from many goroutines.
type relay struct {
	o          *Options
	pool       *pool.Pool
	publishers map[string]*publish.Publisher
	latency    *tools.Latency            // of all messages
	each       map[string]*tools.Latency // of each destination, if there are several
}

func newRelay(o *Options) *relay {
	destinations := tools.Distinct(o.Destinations)
	r := &relay{o: o, pool: pool.New(o.Mode, destinations), publishers: map[string]*publish.Publisher{}, each: map[string]*tools.Latency{}}
	r.latency = tools.NewLatency(o.Source.Logger, "all", o.StatusEvery)
	for _, d := range destinations {
		r.publishers[d] = publish.NewPublisher(d, o.ProducerConfig, o.Source.Logger)
		if len(destinations) > 1 {
			r.each[d] = tools.NewLatency(o.Source.Logger, d, o.StatusEvery)
		}
	}
	return r
}

func (r *relay) close() {
	for _, p := range r.publishers {
		p.Close()
	}
}

// handle passes one message on; go-nsq finishes it after nil, and requeues it after an error.
func (r *relay) handle(topic string, m *nsq.Message) error {
	body, ok, err := r.o.Filter.apply(m.Body)
	if err != nil {
		r.o.Source.Logger.Warn("message left out", "id", string(m.ID[:]), "error", err)
	}
	if !ok {
		r.o.Meter.Skipped.Add(1)
		return nil
	}
	choice := r.pool.Get()
	begun := time.Now()
	err = r.publishers[choice.Host].Publish(topic, body)
	choice.Mark(err)
	if err != nil {
		r.o.Meter.Failed.Add(1)
		r.o.Source.Logger.Warn("not published, the message will be tried again", "to", choice.Host, "attempts", m.Attempts, "error", err)
		return err
	}
	r.o.Meter.Count(body)
	r.latency.Took(begun)
	r.each[choice.Host].Took(begun)
	return nil
}
