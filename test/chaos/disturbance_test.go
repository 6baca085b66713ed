//go:build process

package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/testkit/history"
)

// finishWindow is how long before a disturbance a finish may be sent and still be forgotten: 100 ms, a sync, and what clients and a
// busy machine take.
const finishWindow = 500 * time.Millisecond

// disturbances are the times in which what is in flight may be forgotten: the faults that a scenario makes, and the moments in which
// leadership moved. Any goroutine may add to them.
type disturbances struct {
	mu struct {
		sync.Mutex
		spans []span
	}
}

type span struct{ from, to time.Time }

// add notes a disturbance that is over.
func (d *disturbances) add(from, to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.spans = append(d.mu.spans, span{from, to})
}

// mark puts the disturbances into a history, as ends of the broker's process: one where each begins, and one at everything that consumers
// saw and did in it, so that none of that has to last.
func (d *disturbances) mark(h *history.History) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var marks []history.Event
	for _, s := range d.mu.spans {
		marks = append(marks, history.Event{Kind: history.Killed, At: s.from.UnixNano()})
	}
	for _, e := range h.Events {
		switch e.Kind {
		case history.Delivered, history.Finished, history.Requeued:
			if slices.ContainsFunc(d.mu.spans, func(s span) bool { return s.from.UnixNano() <= e.At && e.At <= s.to.UnixNano() }) {
				marks = append(marks, history.Event{Kind: history.Killed, At: e.At})
			}
		}
	}
	h.Events = append(h.Events, marks...)
}

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
			d.add(seen, time.Now())
		}
		seen = asked
	}
}
