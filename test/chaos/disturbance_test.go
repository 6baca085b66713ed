//go:build process

package chaos

import (
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/testkit/history"
)

// finishWindow is how long before a disturbance a finish may be sent and still be forgotten: 100 ms, a sync, and what clients and a
// busy machine take.
const finishWindow = 500 * time.Millisecond

// disturbances are the faults that a scenario makes, and the moments in which leadership moved.
type disturbances struct{ history.Disturbances }

// watchPause is the time between two looks at a node's view of the leaders.
const watchPause = 100 * time.Millisecond

// watch notes when a node sees leadership move, until stopC is closed.
func (d *disturbances) watch(n *node, stopC <-chan struct{}) {
	type reign struct {
		leader catalog.NodeID
		term   uint64
	}
	known := map[uint16]reign{}
	seen := time.Now()
	for {
		select {
		case <-stopC:
			return
		case <-time.After(watchPause):
		}
		asked := time.Now()
		view, err := n.view()
		if err != nil {
			continue
		}
		moved := false
		for _, p := range view.Partitions {
			if p.Topic == topic {
				now := reign{p.Leader, p.Term}
				moved = moved || known[p.Partition] != now
				known[p.Partition] = now
			}
		}
		if moved {
			d.Add(seen, time.Now())
		}
		seen = asked
	}
}
