package registrar

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/lookup/lookupd"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// BenchmarkRegister is how long a lookup service that was started again takes to be told of 10,000 topics of two channels.
func BenchmarkRegister(b *testing.B) {
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		return ln
	}
	s, err := lookupd.Start(listen(), listen(), lookupd.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(context.Background())
	source := &brokerSide{changeC: make(chan struct{})}
	for i := range 10_000 {
		source.topics = append(source.topics, Topic{fmt.Sprint("topic-", i), []string{"a", "b"}})
	}
	for b.Loop() {
		r := New(Options{})
		r.SetAddresses([]string{s.TCPAddr()})
		r.Start(source, lookupwire.Peer{BroadcastAddress: "b", TCPPort: 1, HTTPPort: 2, Version: "v"})
		for !r.Registered()[s.TCPAddr()] {
			time.Sleep(time.Millisecond)
		}
		r.Close()
	}
}

// BenchmarkUpdate is what one change costs a link of a broker with 10,000 topics.
func BenchmarkUpdate(b *testing.B) {
	var topics []Topic
	for i := range 10_000 {
		topics = append(topics, Topic{fmt.Sprint("topic-", i), []string{"a", "b"}})
	}
	known := make(told)
	known.update(topics)
	b.ReportAllocs()
	for b.Loop() {
		if commands := known.update(topics); len(commands) > 0 {
			b.Fatal(len(commands))
		}
	}
}
