package broker

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/latency"
	"github.com/weirmq/weir/internal/record"
)

func TestFlightsTakeNoMemoryForEachMessage(t *testing.T) {
	f := newFlights(latency.NewWindow(time.Minute))
	next := record.Offset(0)
	burst := func() {
		first := next
		for range 100 {
			f.begin(next, time.Now().UnixNano())
			next++
		}
		f.end(func(i int) (record.Offset, bool) { return first + record.Offset(i), true }, 100, nil)
	}
	burst()
	if n := testing.AllocsPerRun(1000, burst); n > 0 {
		t.Errorf("100 messages take %v allocations", n)
	}
	if len(f.published) != 0 {
		t.Errorf("%d are remembered", len(f.published))
	}
}

func TestFlightsForgetWhatIsGone(t *testing.T) {
	f := newFlights(latency.NewWindow(time.Minute))
	for o := record.Offset(0); !f.full(); o++ {
		f.begin(o, 1)
	}
	f.forget(f.offsets()[:fewFlights-10])
	if len(f.published) != 10 || f.full() {
		t.Errorf("%d are left, full %v", len(f.published), f.full())
	}
}

func BenchmarkFlights(b *testing.B) {
	f := newFlights(latency.NewWindow(time.Minute))
	next := record.Offset(0)
	b.ReportAllocs()
	for b.Loop() { // a turn of 64 messages
		first := next
		for range 64 {
			f.begin(next, 1)
			next++
		}
		f.end(func(i int) (record.Offset, bool) { return first + record.Offset(i), true }, 64, nil)
	}
}
