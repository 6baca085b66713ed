//go:build process

package endurance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// measure is one thing that must stay flat.
type measure struct {
	name string
	of   func(sample) int64
	// What the late window's median may be above that of the early one: a share, and a constant for noise.
	share float64
	slack int64
	unit  int64 // for the table
}

// measures are the criteria. Memory: the collector lets the heap vary with the load. Disk: segments are deleted whole, up to 64 MiB each,
// and only behind two checkpoints.
var measures = []measure{
	{"RSS MiB", func(s sample) int64 { return s.rss }, 0.15, 16 << 20, 1 << 20},
	{"disk MiB", func(s sample) int64 { return s.disk }, 0.5, 64 << 20, 1 << 20},
	{"descriptors", func(s sample) int64 { return s.descriptors }, 0.1, 10, 1},
	{"goroutines", func(s sample) int64 { return s.goroutines }, 0.1, 20, 1},
}

// judge compares the second quarter of the samples with the last one; the first quarter is for warming up. It returns a line for each
// measure and what is not flat.
func judge(samples []sample) (lines []string, faults []string) {
	n := len(samples)
	if n < 8 {
		return nil, []string{fmt.Sprintf("%d samples are too few to tell", n)}
	}
	early, late := samples[n/4:n/2], samples[n-n/4:]
	for _, m := range measures {
		was, is := median(early, m.of), median(late, m.of)
		lines = append(lines, fmt.Sprintf("%s %d → %d", m.name, was/m.unit, is/m.unit))
		if allowed := was + int64(m.share*float64(was)) + m.slack; is > allowed {
			faults = append(faults, fmt.Sprintf("%s grew from %d to %d, allowed %d", m.name, was/m.unit, is/m.unit, allowed/m.unit))
		}
	}
	return lines, faults
}

// compareIdle tells what a node that was under load holds on to, compared with one that was just started on the same data. The admin page's server
// keeps connections to nodes and lookup services for a while: up to some thirty descriptors, and twice as many goroutines. What a session or
// a topic would leave behind is far more: hundreds of them came and went even in a short run.
func compareIdle(used, fresh sample) (faults []string) {
	for _, m := range []struct {
		name               string
		used, fresh, slack int64
	}{{"descriptors", used.descriptors, fresh.descriptors, 40}, {"goroutines", used.goroutines, fresh.goroutines, 80}} {
		if m.used > m.fresh+m.slack {
			faults = append(faults, fmt.Sprintf("without clients the node has %d %s, just started %d", m.used, m.name, m.fresh))
		}
	}
	return faults
}

func median(samples []sample, of func(sample) int64) int64 {
	var all []int64
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func TestJudgeFindsWhatGrows(t *testing.T) {
	for _, c := range []struct {
		name string
		grow func(*sample, int64)
		want string
	}{
		{"nothing", func(*sample, int64) {}, ""},
		{"memory", func(s *sample, i int64) { s.rss += i << 20 }, "RSS"},
		{"descriptors", func(s *sample, i int64) { s.descriptors += i }, "descriptors"},
		{"goroutines", func(s *sample, i int64) { s.goroutines += i }, "goroutines"},
		{"disk", func(s *sample, i int64) { s.disk += 4 * i << 20 }, "disk"},
	} {
		var samples []sample
		for i := range int64(100) {
			s := sample{at: time.Unix(i, 0), rss: 50<<20 + i%7<<20, disk: 60 << 20, descriptors: 40 + i%5, goroutines: 60 + i%11}
			c.grow(&s, i)
			samples = append(samples, s)
		}
		_, faults := judge(samples)
		if got := strings.Join(faults, "; "); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s grows: %q, want %q", c.name, got, c.want)
		}
	}
	if faults := compareIdle(sample{descriptors: 180, goroutines: 50}, sample{descriptors: 30, goroutines: 50}); len(faults) != 1 {
		t.Errorf("kept descriptors: %v", faults)
	}
}
