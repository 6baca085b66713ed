package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// large returns a registry of a large installation: 1,000 brokers, each with the same 200 topics of two channels.
func large(b *testing.B) (*Registry, time.Time) {
	now := time.Unix(1_000_000, 0)
	r := New(Options{InactiveTimeout: time.Minute, TombstoneLifetime: time.Minute, MaxEntries: 1 << 20})
	for i := range 1000 {
		id := PeerID(fmt.Sprint("10.0.0.1:", i))
		r.Identify(id, lookupwire.Peer{BroadcastAddress: fmt.Sprint("broker-", i), TCPPort: 4150, HTTPPort: 4151}, now)
		for topic := range 200 {
			for _, channel := range []string{"a", "b"} {
				if err := r.Register(id, fmt.Sprint("topic-", topic), channel); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return r, now
}

func BenchmarkLookup(b *testing.B) {
	r, now := large(b)
	b.ReportAllocs()
	for b.Loop() {
		if found, _ := r.Lookup("topic-7", now); len(found) != 1000 {
			b.Fatal(len(found))
		}
	}
}

func BenchmarkNodes(b *testing.B) {
	r, now := large(b)
	b.ReportAllocs()
	for b.Loop() {
		if nodes := r.Nodes(now); len(nodes) != 1000 {
			b.Fatal(len(nodes))
		}
	}
}

func BenchmarkPing(b *testing.B) {
	r, now := large(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Ping("10.0.0.1:7", now)
	}
}
