package history

import (
	"slices"
	"sync"
	"time"
)

// Disturbances are the times in which what is in flight in a cluster may be forgotten: faults that a test makes, and the moments in which
// leadership moves. Any goroutine may add to them.
type Disturbances struct {
	mu struct {
		sync.Mutex
		spans []span
	}
}

type span struct{ from, to time.Time }

// Add notes a disturbance that is over.
func (d *Disturbances) Add(from, to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.spans = append(d.mu.spans, span{from, to})
}

// Mark puts the disturbances into a history, as ends of the broker's process: one where each begins, and one at everything that consumers
// saw and did in it, so that none of that has to last.
func (d *Disturbances) Mark(h *History) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var marks []Event
	for _, s := range d.mu.spans {
		marks = append(marks, Event{Kind: Killed, At: s.from.UnixNano()})
	}
	for _, e := range h.Events {
		switch e.Kind {
		case Delivered, Finished, Requeued:
			if slices.ContainsFunc(d.mu.spans, func(s span) bool { return s.from.UnixNano() <= e.At && e.At <= s.to.UnixNano() }) {
				marks = append(marks, Event{Kind: Killed, At: e.At})
			}
		}
	}
	h.Events = append(h.Events, marks...)
}
