package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// published says where a message is. Partition, offset and id are left out when another node took it.
type published struct {
	Topic     string         `json:"topic"`
	Partition *uint16        `json:"partition,omitempty"`
	Offset    *record.Offset `json:"offset,omitempty"`
	ID        string         `json:"id,omitempty"`
}

// publish is POST /v1/topics/{topic}/messages {"body":base64 or "text":string,"defer_ms":0}.
func (s *Server) publish(r *http.Request) (any, error) {
	var ask struct {
		Body  []byte  `json:"body"`
		Text  *string `json:"text"`
		Defer int64   `json:"defer_ms"`
	}
	if err := decode(r, int64(s.options.MaxMsgSize)*6+4096, &ask); err != nil { // \u0000 takes six bytes
		return nil, err
	}
	if ask.Text != nil {
		ask.Body = []byte(*ask.Text)
	}
	if len(ask.Body) == 0 {
		return nil, badRequest("MSG_EMPTY", "a message has at least one byte: body in base64, or text")
	}
	var batch record.Builder
	due, err := s.due(ask.Defer)
	if err != nil {
		return nil, err
	}
	batch.Append(ask.Body, due)
	answer, err := s.put(r.Context(), r.PathValue("topic"), &batch, batch.Flags(), len(ask.Body))
	return answer, s.did(r, "publish", err)
}

// republish is POST /v1/topics/{topic}/messages/{partition}/{offset}/republish {"topic":T,"defer_ms":0}: a copy with key and headers.
func (s *Server) republish(r *http.Request) (any, error) {
	ask := struct {
		Topic string `json:"topic"`
		Defer int64  `json:"defer_ms"`
	}{Topic: r.PathValue("topic")}
	if err := decode(r, 4096, &ask); err != nil {
		return nil, err
	}
	due, err := s.due(ask.Defer)
	if err != nil {
		return nil, err
	}
	var batch record.Builder
	size, flags := 0, record.Flags(0)
	if err := s.readOne(r, func(m *broker.Browsed) {
		size = len(m.Record.Value)
		copyRecord(&batch, m.Record, due)
		if due != 0 {
			flags = record.FlagDue
		}
	}); err != nil {
		return nil, err
	}
	answer, err := s.put(r.Context(), ask.Topic, &batch, flags, size)
	return answer, s.did(r, "republish", err)
}

// copyRecord appends a record as it is, but for its times.
func copyRecord(batch *record.Builder, r *record.Record, due int64) {
	var headers record.Headers
	for it := r.Headers.Iter(); it.Next(); {
		if string(it.Key()) != record.DueHeader {
			headers = headers.Add(string(it.Key()), bytes.Clone(it.Value()))
		}
	}
	if r.Key == nil && headers.Len() == 0 {
		batch.Append(r.Value, due)
		return
	}
	if due != 0 {
		headers = headers.Add(record.DueHeader, binary.BigEndian.AppendUint64(nil, uint64(due)))
	}
	batch.AppendRecord(&record.Record{Timestamp: time.Now().UnixMilli(), Key: r.Key, Value: r.Value, Headers: headers})
}

// due is the due time of a delay, 0 for none.
func (s *Server) due(delay int64) (int64, error) {
	if delay < 0 || delay > s.options.MaxDelay.Milliseconds() {
		return 0, badRequest("INVALID_DEFER", fmt.Sprintf("defer_ms is 0 to %d", s.options.MaxDelay.Milliseconds()))
	}
	if delay == 0 {
		return 0, nil
	}
	return time.Now().Add(time.Millisecond-1).UnixMilli() + delay, nil // never early
}

// outcome is the owner of one message on its way.
type outcome chan error

// Proposed implements broker.Owner.
func (o outcome) Proposed(p *broker.Proposal) { o <- p.Err }

// put publishes one message and waits until it is as durable as the node's policy says.
func (s *Server) put(ctx context.Context, topic string, batch *record.Builder, flags record.Flags, size int) (*published, error) {
	if size > s.options.MaxMsgSize {
		return nil, &apiError{http.StatusRequestEntityTooLarge, "MSG_TOO_BIG", fmt.Sprintf("a message has at most %d bytes", s.options.MaxMsgSize)}
	}
	t, err := s.broker.CreateTopic(ctx, topic)
	if err != nil {
		return nil, err
	}
	outcomeC := make(outcome, 1)
	p := broker.Proposal{Flags: flags, Owner: outcomeC, Messages: 1, BodyBytes: size, Payload: batch.Finish(time.Now().UnixMilli())}
	s.runs.Go(func() { t.Publish(&p) }) // it may wait for room, which has no context
	select {
	case err := <-outcomeC:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("publish to %s: %w: %w", topic, broker.ErrUnknown, ctx.Err())
	}
	answer := &published{Topic: topic}
	if number, ok := t.Placed(&p); ok {
		id := t.ID(number, p.Base)
		answer.Partition, answer.Offset, answer.ID = &number, &p.Base, string(id[:])
	}
	return answer, nil
}
