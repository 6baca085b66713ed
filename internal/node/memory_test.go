package node

import (
	"runtime"
	"sync"
	"testing"
)

// TestStacksDoNotTakeTheHeapsHeadroom lets goroutines have large stacks, as sessions have.
func TestStacksDoNotTakeTheHeapsHeadroom(t *testing.T) {
	const goroutines, stackBytes = 1000, 16 << 10
	h := newHeap()
	runtime.GC()
	_, _, before := h.measure()
	var grown, ended sync.WaitGroup
	releaseC := make(chan struct{})
	grown.Add(goroutines)
	for range goroutines {
		ended.Go(func() {
			growStack(stackBytes)
			grown.Done()
			<-releaseC
		})
	}
	grown.Wait()
	live, searched, after := h.measure()
	close(releaseC)
	ended.Wait()
	if after-before < goroutines*stackBytes {
		t.Errorf("%d KiB were beside the heap, and %d with %d stacks of %d", before>>10, after>>10, goroutines, stackBytes>>10)
	}
	if live <= 0 || searched <= 0 || before <= 0 {
		t.Errorf("%d bytes live, %d are searched, %d are beside the heap", live, searched, before)
	}
	large := int64(freeHeapBytes)
	if headroom := limitOf(large, 0, after) - large - after; headroom != large/16 {
		t.Errorf("the headroom is %d bytes of %d", headroom, large)
	}
}

//go:noinline
func growStack(bytes int) byte {
	var frame [1 << 10]byte
	if bytes > 0 {
		frame[bytes%len(frame)] = growStack(bytes - len(frame))
	}
	return frame[0]
}
