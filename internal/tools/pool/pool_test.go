package pool

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// draw makes n choices and marks each with what outcome says of its host.
func draw(p *Pool, n int, outcome func(host string) error) map[string]int {
	counts := map[string]int{}
	for range n {
		c := p.Get()
		counts[c.Host]++
		c.Mark(outcome(c.Host))
	}
	return counts
}

func works(string) error { return nil }

func bFails(host string) error {
	if host == "b" {
		return errors.New("down")
	}
	return nil
}

func TestRoundRobinTakesAllAlikeWhateverBecomesOfIt(t *testing.T) {
	if got := draw(New(RoundRobin, []string{"a", "b", "c"}), 30, bFails); got["a"] != 10 || got["b"] != 10 || got["c"] != 10 {
		t.Errorf("got %v", got)
	}
}

func TestADestinationThatFailedRestsEverLonger(t *testing.T) {
	for _, mode := range []string{HostPool, EpsilonGreedy} {
		synctest.Test(t, func(t *testing.T) {
			p := New(mode, []string{"a", "b"})
			if got := draw(p, 200, bFails); got["b"] != 1 {
				t.Errorf("%s: at first: %v", mode, got)
			}
			time.Sleep(firstRest)
			if got := draw(p, 200, bFails); got["b"] != 1 {
				t.Errorf("%s: after the first rest: %v", mode, got)
			}
			time.Sleep(firstRest)
			if got := draw(p, 200, bFails); got["b"] != 0 {
				t.Errorf("%s: in the second rest, which is longer: %v", mode, got)
			}
			time.Sleep(longestRest)
			if got := draw(p, 200, works); got["b"] == 0 {
				t.Errorf("%s: b works again: %v", mode, got)
			}
		})
	}
}

func TestWhenAllRestNoneDoes(t *testing.T) {
	p := New(HostPool, []string{"a", "b"})
	got := draw(p, 20, func(string) error { return errors.New("down") })
	if got["a"] != 10 || got["b"] != 10 {
		t.Errorf("got %v", got)
	}
}

func TestEpsilonGreedyPrefersTheFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(EpsilonGreedy, []string{"fast", "slow"})
		got := map[string]int{}
		for range 2000 {
			c := p.Get()
			got[c.Host]++
			if c.Host == "slow" {
				time.Sleep(99 * time.Millisecond)
			}
			time.Sleep(time.Millisecond)
			c.Mark(nil)
		}
		if got["slow"] > 300 || got["slow"] == 0 {
			t.Errorf("got %v", got)
		}
	})
}
