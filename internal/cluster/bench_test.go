package cluster_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// BenchmarkPublish publishes to three nodes in one process, each batch synced on a majority. One operation is one message of 200 bytes.
func BenchmarkPublish(b *testing.B) {
	for _, load := range []struct{ publishers, batch, window int }{{1, 1, 1}, {4, 1, 100}, {4, 50, 2}, {4, 200, 4}} {
		b.Run(fmt.Sprintf("publishers=%d/batch=%d/window=%d", load.publishers, load.batch, load.window), func(b *testing.B) {
			ns := startNodes(b, 3, commitlog.SyncAlways)
			topic, err := ns.up[1].broker.CreateTopic(b.Context(), "t")
			ns.check(err)
			ns.check(publish(topic, "first"))
			body := make([]byte, 200)
			b.ResetTimer()
			begun := time.Now()
			var wg sync.WaitGroup
			for i := range load.publishers {
				wg.Go(func() {
					topic, err := ns.up[ns.members[i%3]].broker.CreateTopic(b.Context(), "t")
					ns.check(err)
					slots := make(slots, load.window)
					for range b.N / load.publishers / load.batch {
						slots <- struct{}{}
						var r record.Builder
						for range load.batch {
							r.Append(body, 0)
						}
						topic.Publish(&broker.Proposal{Payload: r.Finish(1), Messages: load.batch, BodyBytes: 200 * load.batch, Owner: slots})
					}
					for range load.window {
						slots <- struct{}{}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "msg/s")
		})
	}
}

// slots bound what one publisher has under way.
type slots chan struct{}

// Proposed implements broker.Owner.
func (s slots) Proposed(p *broker.Proposal) {
	if p.Err != nil {
		panic(p.Err)
	}
	<-s
}
