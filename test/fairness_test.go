//go:build process

package test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestEqualConsumersGetEqualShares has ten consumers with the same window share a stream, and compares how many
// messages each got: within 20 % of the mean.
func TestEqualConsumersGetEqualShares(t *testing.T) {
	const consumers, messages = 10, 150_000
	for _, ready := range []int{1, 100} {
		t.Run(map[int]string{1: "RDY 1", 100: "RDY 100"}[ready], func(t *testing.T) {
			b := startBroker(t)
			rec := history.NewRecorder(1)
			var counts [consumers]atomic.Int64
			var total atomic.Int64
			var all sync.WaitGroup
			defer all.Wait() // after the consumers are closed
			for i := range consumers {
				c, err := rawnsq.NewConsumer(b.TCP(), "orders", "work", rawnsq.ConsumerOptions{Ready: ready})
				if err != nil {
					t.Fatal(err)
				}
				all.Go(func() {
					for {
						d, err := c.Next()
						if err != nil {
							return // closed below
						}
						counts[i].Add(1)
						total.Add(1)
						c.Finish(d.ID)
					}
				})
				defer c.Close()
			}
			publishAll(t, b, rec, "orders", messages)
			eventually(t, 30*time.Second, "all messages are consumed", func() bool { return total.Load() >= messages })
			got := make([]int64, consumers)
			for i := range got {
				got[i] = counts[i].Load()
			}
			slices.Sort(got)
			mean := float64(messages) / consumers
			t.Logf("shares %v, mean %.0f: %+.1f %% to %+.1f %%", got, mean,
				100*(float64(got[0])/mean-1), 100*(float64(got[consumers-1])/mean-1))
			if float64(got[0]) < 0.8*mean || float64(got[consumers-1]) > 1.2*mean {
				t.Errorf("shares differ by more than 20 %% from the mean")
			}
		})
	}
}
