package nsqhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/record"
)

// pub is POST /pub?topic=T[&defer=MS]: the body is one message.
func (s *Server) pub(r *http.Request) (string, error) {
	in, err := s.read(r, s.options.MaxMsgSize, "MSG_TOO_BIG")
	if err != nil {
		return "", err
	}
	defer in.release()
	if len(in.bytes) == 0 {
		return "", httpdoor.NewError(http.StatusBadRequest, "MSG_EMPTY")
	}
	params, err := httpdoor.Query(r)
	if err != nil {
		return "", err
	}
	name, err := newTopicName(params)
	if err != nil {
		return "", err
	}
	var due int64
	if params.Has("defer") {
		ms, err := strconv.ParseInt(params.Get("defer"), 10, 64)
		if err != nil || ms < 0 || ms > s.options.MaxReqTimeout.Milliseconds() {
			return "", httpdoor.NewError(http.StatusBadRequest, "INVALID_DEFER")
		}
		if ms > 0 {
			due = time.Now().Add(time.Millisecond-1).UnixMilli() + ms // never early
		}
	}
	p := publication{doneC: make(chan struct{})}
	p.batch.Append(in.bytes, due)
	p.bodyBytes = len(in.bytes)
	return "OK", s.publish(r.Context(), name, in, &p)
}

// mpub is POST /mpub?topic=T[&binary=B]: the body is one message a line, or with binary=true nsqd's MPUB body. The messages
// form one batch: all of them are published, or none.
func (s *Server) mpub(r *http.Request) (string, error) {
	in, err := s.read(r, s.options.MaxBodySize, "BODY_TOO_BIG")
	if err != nil {
		return "", err
	}
	defer in.release()
	params, err := httpdoor.Query(r)
	if err != nil {
		return "", err
	}
	name, err := newTopicName(params)
	if err != nil {
		return "", err
	}
	p := publication{doneC: make(chan struct{})}
	fill := s.appendLines
	if boolParam(params, "binary", false, true) {
		fill = s.appendBinary
	}
	if err := fill(&p, in.bytes); err != nil {
		return "", err
	}
	return "OK", s.publish(r.Context(), name, in, &p)
}

// appendLines takes each line as a message; empty ones are skipped.
func (s *Server) appendLines(p *publication, body []byte) error {
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		if len(line) > s.options.MaxMsgSize {
			return httpdoor.NewError(http.StatusRequestEntityTooLarge, "MSG_TOO_BIG")
		}
		if len(line) > 0 {
			p.batch.Append(line, 0)
			p.bodyBytes += len(line)
		}
	}
	return nil
}

// appendBinary takes the messages of an MPUB body.
func (s *Server) appendBinary(p *publication, body []byte) error {
	limits := nsqwire.Limits{MaxMsgSize: s.options.MaxMsgSize, MaxBodySize: s.options.MaxBodySize}
	messages, err := nsqwire.ParseMPUB(body, &limits)
	if err != nil {
		word := "BAD_BODY"
		var wire *nsqwire.Error
		if errors.As(err, &wire) && wire.Code == nsqwire.CodeBadMessage {
			word = "BAD_MESSAGE"
		}
		return httpdoor.NewError(http.StatusRequestEntityTooLarge, word)
	}
	for {
		message, ok := messages.Next()
		if !ok {
			return nil
		}
		p.batch.Append(message, 0)
		p.bodyBytes += len(message)
	}
}

// read reads a body of at most limit bytes.
func (s *Server) read(r *http.Request, limit int, tooBig string) (*body, error) {
	if s.closing.Load() {
		return nil, broker.ErrClosed
	}
	return s.bodies.read(r, limit, httpdoor.NewError(http.StatusRequestEntityTooLarge, tooBig))
}

// publication is one request's batch on its way; it is the proposal's owner.
type publication struct {
	batch     record.Builder
	bodyBytes int
	proposal  broker.Proposal
	held      body          // counts the payload, which outlives a request that is broken off
	doneC     chan struct{} // closed when proposal.Err is set
}

// Proposed implements broker.Owner.
func (p *publication) Proposed(*broker.Proposal) {
	p.held.release()
	close(p.doneC)
}

// publish submits the batch that was made of a body, and waits until it is committed, or until the request's context ends;
// then the outcome is unknown. A batch without messages makes sure that the topic exists, as in nsqd.
func (s *Server) publish(ctx context.Context, topic string, in *body, p *publication) error {
	t, ok := s.broker.Topic(topic)
	if !ok {
		var err error
		if t, err = s.broker.CreateTopic(ctx, topic); err != nil {
			return err
		}
	}
	messages := p.batch.Count()
	if messages == 0 {
		return nil
	}
	if messages > math.MaxInt32 {
		return httpdoor.NewError(http.StatusRequestEntityTooLarge, "BODY_TOO_BIG")
	}
	p.proposal = broker.Proposal{Flags: p.batch.Flags(), Owner: p, Messages: messages, BodyBytes: p.bodyBytes}
	p.proposal.Payload = p.batch.Finish(time.Now().UnixMilli())
	p.held = in.handOver()
	s.submits.Go(func() { t.Publish(&p.proposal) }) // it may wait for room, which has no context
	select {
	case <-p.doneC:
		return p.proposal.Err
	case <-ctx.Done():
		return fmt.Errorf("publish to %s: %w: %w", topic, broker.ErrUnknown, ctx.Err())
	}
}
