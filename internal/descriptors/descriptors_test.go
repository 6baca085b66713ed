package descriptors

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestConnectionsFitIntoTheLimit(t *testing.T) {
	for _, c := range []struct {
		limit, files int
		most, want   []int
	}{
		{0, 300, []int{65_536, 8192}, []int{65_536, 8192}},              // the system does not tell
		{1 << 20, 300, []int{65_536, 8192}, []int{65_536, 8192}},        // all fit
		{1000, 300, []int{500, 200}, []int{500, 200}},                   // just
		{1000, 300, []int{501, 200}, []int{501, 43}},                    // not any more
		{65_536, 300, []int{65_536, 8192, 50}, []int{46_030, 3072, 50}}, // a quarter is kept for files
		{64, 300, []int{65_536, 8192, 8192}, []int{24, 4, 4}},           // half of a small limit is
		{2, 300, []int{65_536, 8192, 8192}, []int{1, 4, 4}},             // nothing works, but it says why
	} {
		var log bytes.Buffer
		most := slices.Clone(c.most)
		var doors []Door
		for i := range most {
			doors = append(doors, Door{string(rune('a' + i)), &most[i]})
		}
		Share(c.limit, c.files, slog.New(slog.NewTextHandler(&log, nil)), doors...)
		if !slices.Equal(most, c.want) {
			t.Errorf("limit %d: %v become %v, want %v", c.limit, c.most, most, c.want)
		}
		if lines := strings.Count(log.String(), "\n"); lines > 1 || (lines == 1) == slices.Equal(most, c.most) {
			t.Errorf("limit %d: %v become %v, and the log says %q", c.limit, c.most, most, log.String())
		}
	}
}

func TestTheSystemTellsTheLimit(t *testing.T) {
	if n := Limit(); n < 10 {
		t.Fatalf("the process may open %d files", n)
	}
}
