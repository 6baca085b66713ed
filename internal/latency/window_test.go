package latency

import (
	"testing"
	"time"
)

var begin = time.Unix(1_700_000_000, 0)

// record lets n messages finish at a moment, each after took.
func record(w *Window, at time.Time, took time.Duration, n int) {
	for range n {
		w.Record(at, at.Add(-took).UnixNano())
	}
}

func take(w *Window, at time.Time, quantiles ...float64) *Summary {
	s := NewSum(quantiles)
	s.Add(at, w)
	return s.Take()
}

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	w := NewWindow(time.Minute)
	for i := 1; i <= 1000; i++ {
		record(w, begin, time.Duration(i)*time.Millisecond, 1)
	}
	got := take(w, begin, 1, 0.99, 0.5)
	if got.Count != 1000 {
		t.Errorf("%d values", got.Count)
	}
	for i, want := range []time.Duration{1000, 990, 500} {
		want *= time.Millisecond
		if d := got.Values[i].Took - want; d < -want/100 || d > want/100 {
			t.Errorf("quantile %v: %v, want %v", got.Values[i].Quantile, got.Values[i].Took, want)
		}
	}
}

func TestValuesLeaveTheWindowInHalves(t *testing.T) {
	w := NewWindow(time.Minute)
	record(w, begin, time.Second, 1)
	record(w, begin.Add(31*time.Second), time.Second, 2)
	for _, c := range []struct {
		at   time.Duration
		want int64
	}{{59 * time.Second, 3}, {61 * time.Second, 2}, {89 * time.Second, 2}, {91 * time.Second, 0}} {
		if got := take(w, begin.Add(c.at)).Count; got != c.want {
			t.Errorf("after %v: %d values, want %d", c.at, got, c.want)
		}
	}
	record(w, begin.Add(time.Hour), time.Second, 4)
	if got := take(w, begin.Add(time.Hour)).Count; got != 4 {
		t.Errorf("after an hour: %d values, want 4", got)
	}
}

func TestWhatNeverWasAndWhatIsTooLong(t *testing.T) {
	w := NewWindow(time.Minute)
	if got := take(w, begin, 0.5); got.Count != 0 || len(got.Values) != 1 || got.Values[0] != (Value{0.5, 0}) {
		t.Errorf("empty: %+v", got)
	}
	record(w, begin, 1000*time.Hour, 1)
	record(w, begin, -time.Hour, 1) // a clock that was set back
	got := take(w, begin, 1, 0.1)
	if got.Count != 2 || got.Values[0].Took < 24*time.Hour || got.Values[1].Took != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestSumAddsWindowsAndIsEmptyAfterwards(t *testing.T) {
	a, b := NewWindow(time.Minute), NewWindow(time.Minute)
	record(a, begin, time.Second, 2)
	record(b, begin, time.Second, 3)
	s := NewSum([]float64{1})
	s.Add(begin, a)
	s.Add(begin, b)
	if got := s.Take().Count; got != 5 {
		t.Errorf("%d values, want 5", got)
	}
	if got := s.Take().Count; got != 0 {
		t.Errorf("%d values after Take", got)
	}
}

func TestRecordingTakesNoMemory(t *testing.T) {
	w := NewWindow(time.Second)
	now := begin
	published := []int64{now.UnixNano(), now.UnixNano()}
	w.Record(now, published...)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		w.Record(now, published...)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	w := NewWindow(time.Minute)
	published := make([]int64, 64)
	b.ReportAllocs()
	for b.Loop() {
		w.Record(begin, published...)
	}
}
