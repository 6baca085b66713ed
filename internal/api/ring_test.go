package api

import (
	"testing"
	"time"
)

// The history of a topic on which nothing happens takes no memory, and nobody can tell.
func TestQuietHistoryTakesNoPoints(t *testing.T) {
	r := ring{most: 4}
	want := func(want ...float32) {
		t.Helper()
		var got []float32
		r.each(func(p *point) { got = append(got, p.depth) })
		nulls := 0
		for _, v := range newHour(&r, time.Time{}, time.Second, r.most, false).Depth {
			if v == nil {
				nulls++
			}
		}
		if len(got) != len(want) || r.most-nulls != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
	step := int64(0)
	add := func(depth int64) {
		step++
		r.add(step, figures{depth: depth}, 1)
	}
	add(0) // the first has nothing to compare with
	want()
	for range 3 {
		add(0)
	}
	want(0, 0, 0)
	if cap(r.points) != 0 {
		t.Errorf("%d points are kept", cap(r.points))
	}
	add(7)
	want(0, 0, 0, 7)
	add(0)
	want(0, 0, 7, 0)
	step += 2 // some are missing: it begins anew
	add(0)
	want()
	for range 9 {
		add(0)
	}
	want(0, 0, 0, 0)
	add(5)
	want(0, 0, 0, 5)
}
