package load

import (
	"errors"
	"fmt"
	"slices"
)

// Result is what came of a load. Times are in µs, rates in messages a second.
type Result struct {
	Load
	Seconds         float64    `json:"seconds"`      // from the first publish to the last answer
	Published       int64      `json:"published"`    // messages that were answered with OK
	PublishRate     float64    `json:"publish_rate"` // of Sub: 0, the backlog is not what it measures
	Delivered       int64      `json:"delivered"`    // deliveries of all channels, repeated ones included
	DeliverySeconds float64    `json:"delivery_seconds"`
	DeliveryRate    float64    `json:"delivery_rate"`
	Redelivered     int64      `json:"redelivered"`          // deliveries of a message that its channel had delivered before: no error
	Refused         int64      `json:"refused"`              // messages answered with an error
	Lost            int64      `json:"lost"`                 // answered with OK and not delivered, by each channel
	Phantom         int64      `json:"phantom"`              // delivered and never sent, or not to this topic
	Answers         *Quantiles `json:"answers,omitempty"`    // from when a command was due to its answer
	Deliveries      *Quantiles `json:"deliveries,omitempty"` // from when a message was due to its delivery; not of Sub
	Lag             *Quantiles `json:"lag,omitempty"`        // with a rate: how much later than due commands were written
	Unsent          int64      `json:"unsent,omitempty"`     // with a rate: messages that were due and could not be written before the end
	Server          *ServerUse `json:"server,omitempty"`     // what it took of the server, if the target tells
	Errors          []string   `json:"errors,omitempty"`     // the first few
	ErrorCount      int64      `json:"error_count"`          // refused, lost and phantom messages, and what else went wrong
}

// Err is not nil if anything failed or does not add up. A message that came twice is no error: NSQ promises at least once.
func (r *Result) Err() error {
	if r.ErrorCount == 0 {
		return nil
	}
	if len(r.Errors) == 0 {
		return fmt.Errorf("%s: %d errors", r.Name, r.ErrorCount)
	}
	return fmt.Errorf("%s: %w", r.Name, errors.New(r.Errors[0]))
}

// result adds up what all connections have counted. published is when publishing ended, drainFrom when consuming began, both
// in ns since the run began.
func (r *run) result(published, drainFrom int64) *Result {
	s := &Result{Load: r.load, Seconds: float64(published) / 1e9, Published: r.published.Load(), Delivered: r.delivered.Load(), Refused: r.refused.Load()}
	var answers, lag, deliveries histogram
	for _, p := range r.publishers {
		answers.merge(&p.answers)
		lag.merge(&p.lag)
		s.Unsent += p.unsent
	}
	last := drainFrom
	for _, c := range r.consumers {
		deliveries.merge(&c.deliveries)
		last = max(last, c.last)
	}
	s.Answers, s.Lag = answers.quantiles(), lag.quantiles()
	if r.load.Kind == Sub {
		s.Answers = nil
	} else {
		s.PublishRate, s.Deliveries = float64(s.Published)/s.Seconds, deliveries.quantiles()
	}
	if s.Delivered > 0 {
		s.DeliverySeconds = float64(last-drainFrom) / 1e9
		s.DeliveryRate = float64(s.Delivered) / s.DeliverySeconds
	}
	r.judge(s)
	if s.Published == 0 {
		r.complain(fmt.Errorf("nothing was published"))
	}
	return s
}

// judge compares what each channel delivered with what was sent and answered.
func (r *run) judge(s *Result) {
	if len(r.consumers) == 0 {
		return
	}
	sent := make([][]*stream, len(r.topics))
	for _, p := range r.publishers {
		for _, st := range p.streams {
			sent[st.topic] = append(sent[st.topic], st) // in the order of their index
		}
	}
	consumers := make([][]*consumer, len(r.topics)*r.load.Channels)
	for _, c := range r.consumers {
		i := c.topic*r.load.Channels + c.channel
		consumers[i] = append(consumers[i], c)
	}
	for i, group := range consumers {
		topic := i / r.load.Channels
		var lost, phantom, came, different int64
		for _, c := range group {
			came, phantom = came+c.count, phantom+c.strangers
		}
		came -= phantom
		for _, st := range sent[topic] {
			var got numbers
			for _, c := range group {
				got.merge(&c.streams[st.index])
			}
			lost += st.taken.without(&got)
			phantom += got.from(st.next)
			different += got.count()
		}
		s.Redelivered += came - different
		if s.Lost, s.Phantom = s.Lost+lost, s.Phantom+phantom; lost+phantom > 0 {
			r.note(fmt.Errorf("%s, channel %d: %d messages that were answered with OK did not come, %d came that nobody sent",
				r.topics[topic], i%r.load.Channels, lost, phantom))
		}
	}
}

// verdict adds the errors, when there can be no more.
func (r *run) verdict(s *Result) {
	r.errors.Lock()
	defer r.errors.Unlock()
	s.Errors = slices.Clone(r.errors.list)
	s.ErrorCount = r.errors.count + s.Refused + s.Lost + s.Phantom
}
