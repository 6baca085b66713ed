package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// heldMessage is a message that a channel holds.
type heldMessage struct {
	message
	State     string    `json:"state"`
	Attempts  uint16    `json:"attempts"`
	Consumer  *consumer `json:"consumer,omitempty"`
	Delivered int64     `json:"delivered_ms,omitempty"`
	Deadline  int64     `json:"deadline_ms,omitempty"`
}

// consumer says who has a message in flight.
type consumer struct {
	ClientID      string `json:"client_id"`
	RemoteAddress string `json:"remote_address"`
	Hostname      string `json:"hostname"`
}

// heldMessages is the answer to a look into a channel.
type heldMessages struct {
	Topic     string        `json:"topic"`
	Channel   string        `json:"channel"`
	Partition uint16        `json:"partition"`
	State     string        `json:"state"`
	Total     int64         `json:"total"`
	Next      string        `json:"next"`
	Messages  []heldMessage `json:"messages"`
}

var states = map[string]broker.State{"waiting": broker.Waiting, "in_flight": broker.InFlight, "deferred": broker.Deferred}

// held is GET /v1/topics/{topic}/channels/{channel}/messages.
func (s *Server) held(r *http.Request) (any, error) {
	t, err := s.topicOf(r)
	if err != nil {
		return nil, err
	}
	p := query(r)
	partition, g := uint16(p.number("partition", 0, 0, 65535)), p.page()
	word := p.values.Get("state")
	state, ok := states[word]
	after, parsed := parsePlace(p.values.Get("after"))
	switch {
	case p.err != nil:
		return nil, p.err
	case !ok:
		return nil, badRequest("INVALID_STATE", "state is waiting, in_flight or deferred")
	case !parsed:
		return nil, badRequest("INVALID_AFTER", "after is the next of an earlier answer")
	}
	channel := r.PathValue("channel")
	list, next, err := t.Peek(partition, channel, state, after, g.limit)
	if err != nil {
		return nil, err
	}
	answer := heldMessages{Topic: t.Name(), Channel: channel, Partition: partition, State: word, Messages: []heldMessage{}}
	answer.Total = s.total(t.Name(), channel, state)
	for i := range list {
		m, err := s.describe(t, partition, &list[i], word, &g)
		if err != nil {
			return nil, err
		}
		if m != nil {
			answer.Messages = append(answer.Messages, *m)
		}
	}
	if len(list) == g.limit {
		answer.Next = placeText(next)
	}
	return answer, nil
}

// describe reads what a channel holds; nil if it is gone by now.
func (s *Server) describe(t *broker.Topic, partition uint16, h *broker.Held, state string, g *page) (*heldMessage, error) {
	m := heldMessage{State: state, Attempts: h.Attempts, Delivered: h.Delivered, Deadline: h.Deadline}
	maxBody := g.maxBody
	if g.shown >= maxListBytes {
		maxBody = 0
	}
	err := t.ReadAt(partition, h.Offset, func(b *broker.Browsed) { m.message = newMessage(b, maxBody) })
	switch {
	case errors.Is(err, broker.ErrOffsetOutOfRange), errors.Is(err, broker.ErrLost):
		return nil, nil
	case err != nil:
		return nil, err
	}
	g.shown += len(m.Body)
	if h.Due > 0 {
		m.Due = h.Due
	}
	if h.Consumer != nil {
		c := h.Consumer.Stats()
		m.Consumer = &consumer{c.ClientID, c.RemoteAddress, c.Hostname}
	}
	return &m, nil
}

// total is how many messages of a channel are in a state, in all partitions that this node leads.
func (s *Server) total(topic, channel string, state broker.State) int64 {
	for _, t := range s.broker.Stats(topic, channel, false) {
		for _, c := range t.Channels {
			return [...]int64{broker.Waiting: c.Depth, broker.InFlight: c.InFlight, broker.Deferred: c.Deferred}[state]
		}
	}
	return 0
}

// placeText and parsePlace write and read a place in a list, for the client to send back.
func placeText(p broker.Place) string {
	kind := "s"
	if p.Fresh {
		kind = "f"
	}
	return fmt.Sprintf("%s.%d.%d", kind, p.Due, p.Offset)
}

func parsePlace(text string) (p broker.Place, ok bool) {
	if text == "" {
		return p, true
	}
	kind, rest, _ := strings.Cut(text, ".")
	p.Fresh = kind == "f"
	n, err := fmt.Sscanf(rest, "%d.%d", &p.Due, &p.Offset)
	return p, err == nil && n == 2 && (kind == "f" || kind == "s") && p.Due >= 0 && p.Offset >= -1 && p.Offset < 1<<48
}

// done is the answer of what has nothing else to say.
type done struct {
	OK bool `json:"ok"`
}

// finish is POST …/messages/{partition}/{offset}/finish: the message leaves the channel.
func (s *Server) finish(r *http.Request) (any, error) {
	err := s.settle(r, func(t *broker.Topic, partition uint16, offset record.Offset) error {
		return t.Finish(partition, r.PathValue("channel"), offset)
	})
	return done{true}, s.did(r, "finish", err)
}

// requeue is POST …/messages/{partition}/{offset}/requeue {"delay_ms":0}: the message becomes due.
func (s *Server) requeue(r *http.Request) (any, error) {
	var ask struct {
		Delay int64 `json:"delay_ms"`
	}
	if err := decode(r, 4096, &ask); err != nil {
		return nil, err
	}
	if ask.Delay < 0 || ask.Delay > s.options.MaxDelay.Milliseconds() {
		return nil, badRequest("INVALID_DELAY", fmt.Sprintf("delay_ms is 0 to %d", s.options.MaxDelay.Milliseconds()))
	}
	err := s.settle(r, func(t *broker.Topic, partition uint16, offset record.Offset) error {
		return t.Requeue(partition, r.PathValue("channel"), offset, time.Duration(ask.Delay)*time.Millisecond)
	})
	return done{true}, s.did(r, "requeue", err)
}

func (s *Server) settle(r *http.Request, do func(*broker.Topic, uint16, record.Offset) error) error {
	t, err := s.topicOf(r)
	if err != nil {
		return err
	}
	partition, offset, err := address(r)
	if err != nil {
		return err
	}
	return do(t, partition, offset)
}
