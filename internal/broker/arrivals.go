package broker

import (
	"context"
	"slices"
	"sync"

	"github.com/weirmq/weir/internal/record"
)

// arrivals lets goroutines wait until a machine has applied an entry. The machine's mutex guards it.
type arrivals struct {
	awaited []arrival
}

type arrival struct {
	index record.Index
	doneC chan struct{}
}

// awaitLocked returns a Go channel that is closed once index is applied.
func (a *arrivals) awaitLocked(index record.Index) <-chan struct{} {
	doneC := make(chan struct{})
	a.awaited = append(a.awaited, arrival{index, doneC})
	return doneC
}

// reachedLocked releases those who wait for an index up to applied.
func (a *arrivals) reachedLocked(applied record.Index) {
	if len(a.awaited) == 0 {
		return
	}
	a.awaited = slices.DeleteFunc(a.awaited, func(w arrival) bool {
		if w.index <= applied {
			close(w.doneC)
		}
		return w.index <= applied
	})
}

// await waits until index is applied, or returns the context's error.
func (a *arrivals) await(ctx context.Context, mu *sync.Mutex, applied *record.Index, index record.Index) error {
	mu.Lock()
	if *applied >= index {
		mu.Unlock()
		return nil
	}
	doneC := a.awaitLocked(index)
	mu.Unlock()
	select {
	case <-doneC:
		return nil
	case <-ctx.Done():
		mu.Lock()
		a.awaited = slices.DeleteFunc(a.awaited, func(w arrival) bool { return w.doneC == doneC })
		mu.Unlock()
		return ctx.Err()
	}
}
