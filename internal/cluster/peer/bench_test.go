package peer

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/secret"
)

// BenchmarkMessages keeps at most a MiB of messages under way from one Transport to another, both in this process.
func BenchmarkMessages(b *testing.B) {
	for _, size := range []int{256, 16 << 10} {
		for _, encrypted := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/tls=%v", size, encrypted), func(b *testing.B) {
				roomC := make(chan struct{}, 1<<20/size)
				o, p := testOptions(1), testOptions(2)
				if encrypted {
					k := secret.New()
					o.TLS, p.TLS = clusterTLS(b, k), clusterTLS(b, k)
				}
				p.Handler.Received = func(catalog.NodeID, Lane, []byte) { <-roomC }
				from, to := start(b, o), start(b, p)
				connect(b, from, to)
				head, body := make([]byte, 32), make([]byte, size-32)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					roomC <- struct{}{}
					if !from.Send(2, Append, head, body) {
						b.Fatal("refused")
					}
				}
				for range cap(roomC) {
					roomC <- struct{}{}
				}
			})
		}
	}
}

// BenchmarkCalls keeps 1,000 calls of 256 bytes under way.
func BenchmarkCalls(b *testing.B) {
	p := testOptions(2)
	p.Handler.Called = func(r Request) { r.Reply(nil) }
	from, to := start(b, testOptions(1)), start(b, p)
	connect(b, from, to)
	request := make([]byte, 256)
	roomC := make(chan struct{}, 1000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		roomC <- struct{}{}
		from.Go(2, Append, 1, request, func(_ []byte, err error) {
			if err != nil {
				b.Error(err)
			}
			<-roomC
		})
	}
	for range cap(roomC) {
		roomC <- struct{}{}
	}
}

// BenchmarkCallLatency makes one call after the other.
func BenchmarkCallLatency(b *testing.B) {
	p := testOptions(2)
	p.Handler.Called = func(r Request) { r.Reply(nil) }
	from, to := start(b, testOptions(1)), start(b, p)
	connect(b, from, to)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Call(b.Context(), 2, Control, 1, nil); err != nil {
			b.Fatal(err)
		}
	}
}
