package nsqtcp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// fakeBackend commits, stalls and fails as a test likes, and always has messages to deliver. It keeps no messages.
type fakeBackend struct {
	mu sync.Mutex
	// hold keeps proposals until release; else they are committed before Publish returns.
	hold bool
	held []*broker.Proposal
	fail func(p *broker.Proposal) error

	published []published
	topics    map[string]*fakeTopic
	created   int
	createErr error

	subs []*fakeSubscription
	body []byte // of every delivery
}

// published is one batch that arrived.
type published struct {
	topic    string
	bodies   []string
	deferred int
}

type fakeTopic struct {
	backend *fakeBackend
	name    string
}

func newFakeBackend() *fakeBackend {
	return &fakeBackend{topics: make(map[string]*fakeTopic), body: []byte("body")}
}

func (b *fakeBackend) topic(name string) (topic, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.topics[name]
	return t, ok
}

func (b *fakeBackend) createTopic(_ context.Context, name string) (topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.createErr != nil {
		return nil, b.createErr
	}
	b.created++
	t := &fakeTopic{backend: b, name: name}
	b.topics[name] = t
	return t, nil
}

// Publish notes the batch, then commits, holds or refuses it.
func (t *fakeTopic) Publish(p *broker.Proposal) {
	b := t.backend
	b.mu.Lock()
	note := published{topic: t.name}
	for records := record.Batch(p.Payload).Records(); records.Next(); {
		r := records.Record()
		note.bodies = append(note.bodies, string(r.Value))
		if _, due := r.Due(); due {
			note.deferred++
		}
	}
	b.published = append(b.published, note)
	if b.hold {
		b.held = append(b.held, p)
		b.mu.Unlock()
		return
	}
	fail := b.fail
	b.mu.Unlock()
	if fail != nil {
		p.Err = fail(p)
	}
	p.Owner.Proposed(p)
}

// release commits the held proposals at these places, as a committing goroutine does.
func (b *fakeBackend) release(places ...int) {
	for _, i := range places {
		b.mu.Lock()
		p := b.held[i]
		b.mu.Unlock()
		p.Owner.Proposed(p)
	}
}

func (b *fakeBackend) heldCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

func (b *fakeBackend) batches() []published {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]published(nil), b.published...)
}

func (b *fakeBackend) subscribe(_ context.Context, _, _ string, c broker.Client, _ broker.SubscribeOptions) (subscription, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &fakeSubscription{backend: b, client: c}
	b.subs = append(b.subs, s)
	return s, nil
}

// fakeSubscription delivers endlessly, as long as there is window.
type fakeSubscription struct {
	backend *fakeBackend
	client  broker.Client

	mu       sync.Mutex
	ready    int
	inFlight int
	next     uint64
	finishes int // calls of Finish
	finished int // messages
	closed   bool
	pulling  bool
	misuse   string
}

func (s *fakeSubscription) SetReady(n int) {
	s.mu.Lock()
	s.ready = n
	s.mu.Unlock()
	s.client.Wake()
}

func (s *fakeSubscription) Pull(max, maxBytes int, sink broker.Sink) (int, error) {
	s.mu.Lock()
	if s.closed || s.pulling {
		s.misuse = "Pull beside Pull or after Close"
	}
	s.pulling = true
	window := min(max, s.ready-s.inFlight)
	s.mu.Unlock()
	n := 0
	m := broker.Message{Time: 1, Attempts: 1, Body: s.backend.body}
	for bytes := 0; n < window && bytes < maxBytes; n++ {
		s.next++
		copy(m.ID[:], fmt.Sprintf("%016x", s.next))
		bytes += len(m.Body)
		sink.Deliver(&m)
	}
	s.mu.Lock()
	s.inFlight += n
	s.pulling = false
	s.mu.Unlock()
	return n, nil
}

func (s *fakeSubscription) Finish(ids []broker.MessageID, failed func(i int, err error)) {
	s.mu.Lock()
	s.finishes++
	s.finished += len(ids)
	s.inFlight -= len(ids)
	s.mu.Unlock()
	for i := range ids {
		if ids[i][0] == 'f' {
			failed(i, broker.ErrNotOwner)
		}
	}
	s.client.Wake()
}

func (s *fakeSubscription) Requeue(broker.MessageID, time.Duration) error { return broker.ErrNotOwner }
func (s *fakeSubscription) Touch(broker.MessageID) error                  { return broker.ErrClosed }
func (s *fakeSubscription) StartClose()                                   { s.SetReady(0) }

func (s *fakeSubscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.pulling {
		s.misuse = "Close beside Pull or twice"
	}
	s.closed = true
}

func (s *fakeSubscription) isClosed() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed, s.misuse
}
