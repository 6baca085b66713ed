package load

import (
	"errors"
	"fmt"
)

// Result is what came of a load. Times are in µs, rates in messages a second.
type Result struct {
	Load
	Seconds         float64    `json:"seconds"`      // from the first publish to the last answer; of Sub: of the drain
	Published       int64      `json:"published"`    // messages that were answered with OK
	PublishRate     float64    `json:"publish_rate"` // of Sub: 0, the backlog is not what it measures
	Delivered       int64      `json:"delivered"`    // deliveries of all channels, repeated ones included
	DeliverySeconds float64    `json:"delivery_seconds"`
	DeliveryRate    float64    `json:"delivery_rate"`
	Again           int64      `json:"again"`                // deliveries that were not the first attempt
	Refused         int64      `json:"refused"`              // messages answered with an error
	Answers         *Quantiles `json:"answers,omitempty"`    // from when a command was due to its answer
	Deliveries      *Quantiles `json:"deliveries,omitempty"` // from when a message was due to its delivery; not of Sub
	Lag             *Quantiles `json:"lag,omitempty"`        // with a rate: how late the generator itself was
	Errors          []string   `json:"errors,omitempty"`     // the first few
}

// Err is not nil if anything failed or does not add up.
func (r *Result) Err() error {
	if len(r.Errors) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", r.Name, errors.New(r.Errors[0]))
}
