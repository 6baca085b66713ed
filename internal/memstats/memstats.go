// Package memstats is what NSQ tells of the Go heap and the garbage collector, in /stats and to statsd. Reading it stops the program for
// some microseconds.
package memstats

import (
	"runtime"
	"slices"
)

// Stats are sizes in bytes and pauses in µs, under nsqd's names in JSON.
type Stats struct {
	HeapObjects       uint64 `json:"heap_objects"`
	HeapIdleBytes     uint64 `json:"heap_idle_bytes"`
	HeapInUseBytes    uint64 `json:"heap_in_use_bytes"`
	HeapReleasedBytes uint64 `json:"heap_released_bytes"`
	GCPauseUsec100    uint64 `json:"gc_pause_usec_100"` // the longest of the newest 256
	GCPauseUsec99     uint64 `json:"gc_pause_usec_99"`
	GCPauseUsec95     uint64 `json:"gc_pause_usec_95"`
	NextGCBytes       uint64 `json:"next_gc_bytes"`
	GCTotalRuns       uint32 `json:"gc_total_runs"`
}

// Read describes the heap and the newest garbage collections' pauses.
func Read() *Stats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	pauses := slices.Clone(m.PauseNs[:min(int(m.NumGC), len(m.PauseNs))])
	slices.Sort(pauses)
	percentile := func(p int) uint64 {
		if len(pauses) == 0 {
			return 0
		}
		return pauses[(len(pauses)-1)*p/100] / 1000
	}
	return &Stats{
		HeapObjects: m.HeapObjects, HeapIdleBytes: m.HeapIdle, HeapInUseBytes: m.HeapInuse, HeapReleasedBytes: m.HeapReleased,
		GCPauseUsec100: percentile(100), GCPauseUsec99: percentile(99), GCPauseUsec95: percentile(95),
		NextGCBytes: m.NextGC, GCTotalRuns: m.NumGC,
	}
}
