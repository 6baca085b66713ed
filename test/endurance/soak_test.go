//go:build process

package endurance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// mostRecorded bounds the messages of a run that are recorded: the history of one takes some 400 bytes.
const mostRecorded = 2_000_000

// TestSoakStaysFlat runs a lone node and a cluster of three side by side under a mixed load, for WEIR_SOAK (such as 15m), without it for
// a short time. WEIR_SEED repeats the course of chance.
func TestSoakStaysFlat(t *testing.T) {
	long := env.Duration(t, "WEIR_SOAK", 20*time.Second)
	seed := env.Number(t, "WEIR_SEED", uint64(rand.Uint32()))
	t.Logf("WEIR_SEED=%d", seed)
	for _, c := range []struct {
		name   string
		nodes  int
		window time.Duration // how long before a kill a finish may be forgotten
	}{{"a lone node", 1, 300 * time.Millisecond}, {"a cluster of three", 3, 500 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &soak{t: t, name: c.name, long: long, window: c.window, chance: rand.New(rand.NewPCG(seed, uint64(c.nodes)))}
			s.run(c.nodes, seed)
		})
	}
}

// soak is one run.
type soak struct {
	t       *testing.T
	name    string
	long    time.Duration
	window  time.Duration
	chance  *rand.Rand
	nodes   []*node
	l       *load
	unrest  history.Disturbances // of a cluster
	kills   int
	stops   int
	samples [][]sample // by node
}

func (s *soak) run(count int, seed uint64) {
	s.nodes = startNodes(s.t, count)
	s.must(s.nodes[0].post("/topic/create?topic="+topic, ""))
	for _, channel := range channels {
		s.must(s.nodes[0].post("/channel/create?topic="+topic+"&channel="+channel, ""))
	}
	s.l = startLoad(s.nodes, int(min(900, mostRecorded*time.Second/s.long)), seed)
	if count > 1 {
		stopC := make(chan struct{})
		defer close(stopC)
		go s.watchLeaders(stopC)
	}
	s.restartAtRandom(time.Now().Add(s.long * 2 / 5))
	s.watch(time.Now().Add(s.long * 3 / 5))
	s.l.stop()
	report := s.drain()
	faults := s.compareIdle()

	row := faultreport.Judged("soak", s.kills+s.stops, report)
	for i, samples := range s.samples {
		lines, grown := judge(samples)
		s.t.Logf("%s: %s", s.nodes[i].host, strings.Join(lines, ", "))
		if i == 0 {
			row.Note = fmt.Sprintf("%s, %v: %d kills, %d stops, %d MiB of bodies, %d topics came and went; %s", s.name, s.long,
				s.kills, s.stops, s.l.bytes.Load()>>20, s.l.churned.Load(), strings.Join(lines, ", "))
		}
		for _, f := range grown {
			faults = append(faults, s.nodes[i].host+": "+f)
		}
	}
	faultreport.Write(s.t, row)
	for _, f := range faults {
		s.t.Error(f)
	}
	if report.Answered == 0 || s.kills == 0 || s.stops == 0 || s.l.churned.Load() == 0 {
		s.t.Error("the run did too little to show anything")
	}
}

func (s *soak) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// restartAtRandom kills and stops nodes, one at a time, until the end.
func (s *soak) restartAtRandom(end time.Time) {
	for time.Now().Before(end) {
		time.Sleep(time.Second + time.Duration(s.chance.Int64N(int64(min(max(s.long/40, time.Second), 10*time.Second)))))
		n := s.nodes[s.chance.IntN(len(s.nodes))]
		from := time.Now()
		if (s.kills+s.stops)%2 == 0 {
			s.kills++
			s.l.rec.Killed()
			s.must(n.Kill())
		} else {
			s.stops++
			s.l.rec.Stopped()
			s.must(n.Stop(20 * time.Second))
		}
		if s.chance.IntN(2) == 0 {
			time.Sleep(time.Duration(s.chance.Int64N(int64(time.Second))))
		}
		s.must(n.Launch())
		n.awaitReady(s.t)
		if len(s.nodes) > 1 {
			s.unrest.Add(from, time.Now())
		}
	}
}

// watchLeaders notes when leadership of the topic moves, as any node sees it.
func (s *soak) watchLeaders(stopC <-chan struct{}) {
	seen := time.Now()
	known := make([]string, len(s.nodes))
	for {
		select {
		case <-stopC:
			return
		case <-time.After(100 * time.Millisecond):
		}
		asked := time.Now()
		for i, n := range s.nodes {
			if view, err := n.leaders(); err == nil && view != known[i] {
				known[i] = view
				s.unrest.Add(seen, time.Now())
			}
		}
		seen = asked
	}
}

// watch takes samples of all nodes until the end.
func (s *soak) watch(end time.Time) {
	s.samples = make([][]sample, len(s.nodes))
	every := max(s.long/400, 150*time.Millisecond)
	for time.Now().Before(end) {
		time.Sleep(every)
		for i, n := range s.nodes {
			if one, err := n.sample(); err == nil {
				s.samples[i] = append(s.samples[i], one)
			}
		}
	}
}

// drain waits until everything has been finished, and judges the history.
func (s *soak) drain() (report *history.Report) {
	rules := history.Rules{Channels: channels, Drained: true, FinishWindow: s.window, StopMargin: s.window, EarlyTolerance: time.Millisecond}
	time.Sleep(longestDefer + msgTimeout)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		h := s.l.rec.History()
		s.unrest.Mark(h)
		report = history.Check(h, rules)
		if report.Err() == nil || time.Now().After(end) {
			break
		}
	}
	s.l.drained()
	var table strings.Builder
	report.Fprint(&table)
	s.t.Log("\n" + table.String())
	if err := report.Err(); err != nil {
		s.t.Error(err)
	}
	return report
}

// compareIdle looks what nodes keep without clients, and what they have after a start.
func (s *soak) compareIdle() (faults []string) {
	client.CloseIdleConnections()
	time.Sleep(3 * time.Second)
	used := s.sampleAll()
	for _, n := range s.nodes {
		s.must(n.Stop(20 * time.Second))
		s.must(n.Launch())
		n.awaitReady(s.t)
	}
	time.Sleep(2 * time.Second)
	for i, fresh := range s.sampleAll() {
		for _, f := range compareIdle(used[i], fresh) {
			faults = append(faults, s.nodes[i].host+": "+f)
		}
	}
	return faults
}

func (s *soak) sampleAll() (all []sample) {
	for _, n := range s.nodes {
		one, err := n.sample()
		s.must(err)
		all = append(all, one)
	}
	return all
}
