package descriptors

import (
	"bytes"
	"fmt"
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
		{0, 300, []int{65_536, 8192}, []int{65_536, 8192}},                // the system does not tell
		{1 << 20, 300, []int{65_536, 8192}, []int{65_536, 8192}},          // all fit
		{1000, 300, []int{500, 200}, []int{500, 200}},                     // just
		{1000, 300, []int{501, 200}, []int{501, 199}},                     // not any more
		{1000, 300, []int{690, 200}, []int{657, 43}},                      // the first leaves a sixteenth
		{1000, 300, []int{8192}, []int{700}},                              // there is no other
		{1024, 300, []int{100, 8192, 50, 8192}, []int{100, 287, 50, 287}}, // what the first does not want is theirs
		{65_536, 300, []int{65_536, 8192, 50}, []int{46_030, 3072, 50}},   // a quarter is kept for files
		{64, 300, []int{65_536, 8192, 8192}, []int{24, 4, 4}},             // half of a small limit is
		{2, 300, []int{65_536, 8192, 8192}, []int{1, 4, 4}},               // nothing works, but it says why
	} {
		var log bytes.Buffer
		most := slices.Clone(c.most)
		var doors []Door
		for i := range most {
			doors = append(doors, Door{string(rune('a' + i)), 1, &most[i]})
		}
		Share(c.limit, c.files, slog.New(slog.NewTextHandler(&log, nil)), doors[0], doors[1:]...)
		if !slices.Equal(most, c.want) {
			t.Errorf("limit %d: %v become %v, want %v", c.limit, c.most, most, c.want)
		}
		if lines := strings.Count(log.String(), "\n"); lines > 1 || (lines == 1) == slices.Equal(most, c.most) {
			t.Errorf("limit %d: %v become %v, and the log says %q", c.limit, c.most, most, log.String())
		}
		for i, d := range doors {
			attr := fmt.Sprintf(" %s=%d", d.Name, most[i])
			if told := strings.Contains(log.String(), attr); told != (most[i] < c.most[i]) {
				t.Errorf("limit %d: door %s has %d instead of %d, and the log says %q", c.limit, d.Name, most[i], c.most[i], log.String())
			}
		}
	}
}

func TestListenersOfADoorHaveTheSame(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	both := 16_384 // as a lookup service has
	Share(1000, 32, logger, Door{"lookup", 2, &both})
	if both != 375 {
		t.Errorf("each of two listeners gets %d of 750 connections", both)
	}
	tcp, http, lookup := 100, 8192, 16_384
	Share(1000, 400, logger, Door{"tcp", 1, &tcp}, Door{"http", 1, &http}, Door{"lookup", 2, &lookup})
	if tcp != 100 || http != 166 || lookup != 166 {
		t.Errorf("tcp has %d, http %d and lookup twice %d of 600 connections", tcp, http, lookup)
	}
}

func TestTheSystemTellsTheLimit(t *testing.T) {
	if n := Limit(); n < 10 {
		t.Fatalf("the process may open %d files", n)
	}
}
