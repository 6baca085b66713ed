package memstats

import (
	"runtime"
	"testing"
)

func TestReadSeesTheHeapAndItsCollections(t *testing.T) {
	runtime.GC()
	s := Read()
	if s.HeapObjects == 0 || s.HeapInUseBytes == 0 || s.NextGCBytes == 0 || s.GCTotalRuns == 0 {
		t.Errorf("got %+v", s)
	}
	if s.GCPauseUsec95 > s.GCPauseUsec99 || s.GCPauseUsec99 > s.GCPauseUsec100 {
		t.Errorf("percentiles out of order: %+v", s)
	}
}
