package queue

import (
	"math/rand/v2"
	"testing"
	"time"
)

func wantWaiter(t *testing.T, c *Channel, end Offset, want *Session) {
	t.Helper()
	if got := c.NextWaiter(at(0), end); got != want {
		t.Fatalf("NextWaiter returned %p, want %p", got, want)
	}
}

func TestWaitersAreWokenInTurnWhileAnythingIsReady(t *testing.T) {
	c := leading(Options{})
	a, b := session(c, 1), session(c, 1)
	c.Wait(a)
	c.Wait(b)
	wantWaiter(t, c, 0, nil) // nothing is ready
	wantWaiter(t, c, 3, a)
	c.Take(at(0), a, 3, 10, nil)
	wantWaiter(t, c, 3, b) // a passes the turn on
	c.Take(at(0), b, 3, 10, nil)
	wantWaiter(t, c, 3, nil) // one is left, but nobody waits
	c.Wait(a)
	c.Wait(b)
	wantWaiter(t, c, 3, nil) // both windows are full
	if err := c.Finish(at(0), b, 1); err != nil {
		t.Fatal(err)
	}
	wantWaiter(t, c, 3, b) // the window that opened
	wantWaiter(t, c, 3, nil)
}

func TestAWaiterWhoseWindowClosesIsNotWokenAndComesBackWhenItOpens(t *testing.T) {
	c := leading(Options{})
	a, b := session(c, 1), session(c, 1)
	c.Wait(a)
	c.Wait(b)
	c.SetReady(a, 0)
	wantWaiter(t, c, 5, b)
	c.SetReady(b, 0) // b cannot use its turn
	wantRuns(t, c.Take(at(0), b, 5, 10, nil))
	c.Wait(b)
	wantWaiter(t, c, 5, nil)
	c.SetReady(a, 2)
	wantWaiter(t, c, 5, a)
	c.SetReady(b, 2)
	wantWaiter(t, c, 5, b)
}

func TestARemovedSessionLeavesTheRoundAndItsMessagesGoOn(t *testing.T) {
	c := leading(Options{})
	a, b, d := session(c, 3), session(c, 3), session(c, 3)
	c.Take(at(0), b, 3, 3, nil)
	for _, s := range []*Session{a, b, d} {
		c.Wait(s)
	}
	c.RemoveSession(at(0), a)
	c.RemoveSession(at(0), b)
	c.RemoveSession(at(0), b)
	wantWaiter(t, c, 3, d)
	wantRuns(t, c.Take(at(0), d, 3, 10, nil), Run{0, 3, 2})
	if n := c.Counts(3); n.TimedOut != 3 || n.Sessions != 1 {
		t.Fatalf("counts %+v", n)
	}
}

func TestATimeoutOpensTheWindowOfTheSessionThatLostTheMessage(t *testing.T) {
	c := leading(Options{})
	a := session(c, 1)
	c.Take(at(0), a, 1, 1, nil)
	c.Wait(a)
	wantWaiter(t, c, 1, nil)
	if c.Tick(at(60_000)) != 1 {
		t.Fatal("no timeout")
	}
	if got := c.NextWaiter(at(60_000), 1); got != a {
		t.Fatal("the only session was not woken for the requeued message")
	}
}

func TestAPausedChannelWakesNobody(t *testing.T) {
	c := leading(Options{})
	a := session(c, 1)
	c.Wait(a)
	c.ApplyPause(true)
	wantWaiter(t, c, 1, nil)
	wantRuns(t, c.Take(at(0), a, 1, 1, nil))
	c.Wait(a)
	c.ApplyPause(false)
	wantWaiter(t, c, 1, a)
	wantRuns(t, c.Take(at(0), a, 1, 1, nil), Run{0, 1, 1})
}

func TestNobodyIsWokenForAMessageThatIsNotDue(t *testing.T) {
	c := leading(Options{})
	a := session(c, 1)
	c.ApplyDefer(0, at(50).ms())
	c.Wait(a)
	wantWaiter(t, c, 1, nil)
	if got := c.NextWaiter(at(50), 1); got != a {
		t.Fatal("not woken for a due message")
	}
}

func TestAFewReadyMessagesAreSharedByReadyCount(t *testing.T) {
	c := leading(Options{})
	big, small := session(c, 300), session(c, 100)
	c.Wait(small)
	wantRuns(t, c.Take(at(0), big, 40, 64, nil), Run{0, 30, 1})
	c.Wait(big)
	wantRuns(t, c.Take(at(0), small, 40, 64, nil), Run{30, 2, 1}) // a quarter of the ten that are left
}

// TestTenEqualSessionsGetEqualShares lets messages come in small bursts, and sessions finish after random times, for a
// long while.
func TestTenEqualSessionsGetEqualShares(t *testing.T) {
	const sessions, total = 10, 50_000
	random := rand.New(rand.NewPCG(1, 2))
	c := leading(Options{})
	var all []*Session
	held := map[*Session][]Offset{}
	for range sessions {
		s := session(c, 20)
		all = append(all, s)
		c.Wait(s)
	}
	end, finished := Offset(0), 0
	for step := 0; finished < total; step++ {
		if step > 100*total {
			t.Fatal("stuck: a wake-up was lost")
		}
		end = min(total, end+Offset(random.IntN(40)))
		for {
			s := c.NextWaiter(at(0), end)
			if s == nil {
				break
			}
			runs := c.Take(at(0), s, end, 64, nil)
			for _, r := range runs {
				for i := range r.Count {
					held[s] = append(held[s], r.First+Offset(i))
				}
			}
			c.Wait(s)
		}
		s := all[random.IntN(sessions)]
		for _, off := range held[s] {
			if err := c.Finish(at(0), s, off); err != nil {
				t.Fatal(err)
			}
			finished++
		}
		held[s] = nil
	}
	for i, s := range all {
		if n := float64(s.Counts().Delivered); n < 0.8*total/sessions || n > 1.2*total/sessions {
			t.Errorf("session %d got %v of %d", i, n, total)
		}
	}
}

func TestSamplingDeliversItsRateAndFinishesTheRest(t *testing.T) {
	const total = 200_000
	for _, rate := range []int{1, 30, 99} {
		random := rand.New(rand.NewPCG(3, uint64(rate)))
		c := leading(Options{Rand: random.Uint32})
		s := c.AddSession(time.Minute, rate)
		c.SetReady(s, 64)
		got := 0
		for {
			runs := c.Take(at(0), s, total, 64, nil)
			if len(runs) == 0 {
				break
			}
			for _, r := range runs {
				got += r.Count
				for i := range r.Count {
					if err := c.Finish(at(0), s, r.First+Offset(i)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if want := float64(total * rate / 100); float64(got) < want*0.93 || float64(got) > want*1.07 {
			t.Errorf("rate %d: %d of %d delivered", rate, got, total)
		}
		commit(t, c)
		if n := c.Counts(total); c.Floor() != total || n.Sampled != uint64(total-got) || n.InFlight != 0 {
			t.Errorf("rate %d: floor %d, counts %+v", rate, c.Floor(), n)
		}
	}
}

func TestSamplingIsExactAtItsEdges(t *testing.T) {
	for _, test := range []struct {
		random uint32
		rate   int
		takes  bool
	}{{0, 1, true}, {1, 1, false}, {98, 99, true}, {99, 99, false}, {29, 30, true}, {30, 30, false}, {99, 100, true}, {99, 0, true}} {
		c := leading(Options{Rand: func() uint32 { return test.random }})
		s := c.AddSession(time.Minute, test.rate)
		c.SetReady(s, 1)
		if took := len(c.Take(at(0), s, 1, 1, nil)) == 1; took != test.takes {
			t.Errorf("rate %d, random number %d: taken %v", test.rate, test.random, took)
		}
	}
	calls := 0
	c := leading(Options{Rand: func() uint32 { calls++; return 1<<32 - 1 }}) // in the uneven rest: drawn again
	s := c.AddSession(time.Minute, 50)
	c.SetReady(s, 1)
	c.Take(at(0), s, 1, 1, nil)
	if calls < 2 {
		t.Error("a number of the uneven rest was used")
	}
}
