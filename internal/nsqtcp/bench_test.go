package nsqtcp

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// The benchmarks measure the door alone: the backend commits at once and keeps nothing. The client's side allocates nothing,
// so allocs/msg is the server's.

// nullBackend commits everything in place and delivers endlessly.
type nullBackend struct{ body []byte }

type nullTopic struct{}

func (nullTopic) Publish(p *broker.Proposal) { p.Owner.Proposed(p) }

func (nullBackend) topic(string) (topic, bool) { return nullTopic{}, true }
func (nullBackend) createTopic(context.Context, string) (topic, error) {
	return nullTopic{}, nil
}

func (b nullBackend) subscribe(_ context.Context, _, _ string, c broker.Client, _ broker.SubscribeOptions) (subscription, error) {
	return &nullSubscription{client: c, message: broker.Message{ID: broker.MessageID([]byte(anyID)), Attempts: 1, Body: b.body}}, nil
}

type nullSubscription struct {
	client          broker.Client
	message         broker.Message
	mu              sync.Mutex
	ready, inFlight int
}

func (s *nullSubscription) SetReady(n int) {
	s.mu.Lock()
	s.ready = n
	s.mu.Unlock()
	s.client.Wake()
}

func (s *nullSubscription) Pull(max, maxBytes int, sink broker.Sink) (int, error) {
	s.mu.Lock()
	n := min(max, s.ready-s.inFlight, maxBytes/len(s.message.Body))
	s.inFlight += n
	s.mu.Unlock()
	for range n {
		sink.Deliver(&s.message)
	}
	return n, nil
}

func (s *nullSubscription) Finish(ids []broker.MessageID, _ func(int, error)) {
	s.mu.Lock()
	s.inFlight -= len(ids)
	s.mu.Unlock()
	s.client.Wake()
}

func (*nullSubscription) Requeue(broker.MessageID, time.Duration) error { return nil }
func (*nullSubscription) Touch(broker.MessageID) error                  { return nil }
func (*nullSubscription) StartClose()                                   {}
func (*nullSubscription) Close()                                        {}

func benchDial(b *testing.B) net.Conn {
	_, addr := startServer(b, nullBackend{body: []byte(strings.Repeat("x", 200))}, Options{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "  V2"); err != nil {
		b.Fatal(err)
	}
	return conn
}

// perMessage reports time for each of n messages of an iteration.
func perMessage(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/msg")
	b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "msg/s")
}

// exchange writes a burst and reads its answers, again and again.
func exchange(b *testing.B, burst string, answerBytes, messages int) {
	conn := benchDial(b)
	out, in := []byte(burst), make([]byte, answerBytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			b.Fatal(err)
		}
	}
	perMessage(b, messages)
}

// BenchmarkPublish100 pipelines 100 PUBs of 200 bytes: allocs/op is for 100 messages.
func BenchmarkPublish100(b *testing.B) {
	exchange(b, strings.Repeat(pub("topic", strings.Repeat("x", 200)), 100), 10*100, 100)
}

// BenchmarkPublish1 is one PUB at a time.
func BenchmarkPublish1(b *testing.B) {
	exchange(b, pub("topic", strings.Repeat("x", 200)), 10, 1)
}

// BenchmarkMultiPublish200 is one MPUB of 200 messages at a time.
func BenchmarkMultiPublish200(b *testing.B) {
	bodies := make([]string, 200)
	for i := range bodies {
		bodies[i] = strings.Repeat("x", 200)
	}
	exchange(b, mpub("topic", bodies...), 10, 200)
}

// BenchmarkConsume delivers and finishes: an iteration is one message of 200 bytes.
func BenchmarkConsume(b *testing.B) {
	conn := benchDial(b)
	if _, err := io.WriteString(conn, "SUB t c\nRDY 2500\n"); err != nil {
		b.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 256<<10)
	out := bufio.NewWriterSize(conn, 64<<10)
	if _, err := in.Discard(10); err != nil {
		b.Fatal(err)
	}
	fin := []byte("FIN " + anyID + "\n")
	b.ReportAllocs()
	for b.Loop() {
		head, err := in.Peek(4)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := in.Discard(4 + int(binary.BigEndian.Uint32(head))); err != nil {
			b.Fatal(err)
		}
		if _, err := out.Write(fin); err != nil {
			b.Fatal(err)
		}
		if in.Buffered() < 300 {
			if err := out.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	perMessage(b, 1)
}
