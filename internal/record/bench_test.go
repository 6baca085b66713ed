package record

import (
	"fmt"
	"testing"
)

var benchSizes = []int{1, 10, 200}

func BenchmarkAppendAndFinish(b *testing.B) {
	body := make([]byte, 200)
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			var builder Builder
			b.ReportAllocs()
			b.SetBytes(int64(n * len(body)))
			for b.Loop() {
				for range n {
					builder.Append(body, 0)
				}
				builder.Finish(1)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}

// BenchmarkAppend leaves out the checksum and the new buffer that Finish costs.
func BenchmarkAppend(b *testing.B) {
	const n = 200
	body := make([]byte, 200)
	var builder Builder
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset(nil)
		for range n {
			builder.Append(body, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}

func BenchmarkIterate(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			var builder Builder
			for range n {
				builder.Append(make([]byte, 200), 0)
			}
			batch := builder.Finish(1)
			b.ReportAllocs()
			b.SetBytes(int64(len(batch)))
			total := 0
			for b.Loop() {
				it := batch.Records()
				for it.Next() {
					total += len(it.Record().Value)
				}
			}
			if total == 0 {
				b.Fatal("no records")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	var builder Builder
	batches := make([]Batch, 200)
	for i := range batches {
		builder.Append(make([]byte, 200), 0)
		batches[i] = builder.Finish(1)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Merge(&builder, batches...); err != nil {
			b.Fatal(err)
		}
		builder.Finish(1)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batches)), "ns/record")
}

func TestAppendingAndReadingAllocateNothingPerRecord(t *testing.T) {
	var b Builder
	body := make([]byte, 100)
	b.Reset(make([]byte, 0, 1<<20))
	allocs := testing.AllocsPerRun(100, func() {
		b.Reset(nil)
		for range 100 {
			b.Append(body, 5)
		}
	})
	if allocs != 0 {
		t.Errorf("appending 100 records: %v allocations", allocs)
	}
	batch := b.Finish(1)
	allocs = testing.AllocsPerRun(100, func() {
		for it := batch.Records(); it.Next(); {
			if _, ok := it.Record().Due(); !ok {
				t.Fatal("no due time")
			}
		}
	})
	if allocs != 0 {
		t.Errorf("reading 100 records: %v allocations", allocs)
	}
}
