package queue

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// at is the moment ms milliseconds into a test.
func at(ms int64) Now { return Now{Mono: ms * 1e6, Wall: (1_700_000_000_000 + ms) * 1e6} }

// leading returns a channel from offset 0 that leads since at(0).
func leading(o Options) *Channel {
	c := New(0, o)
	c.Lead(at(0))
	return c
}

// session adds a session with a ready count and a timeout of one minute.
func session(c *Channel, ready int) *Session {
	s := c.AddSession(time.Minute, 0)
	c.SetReady(s, ready)
	return s
}

// commit applies all that pends, as a log that commits at once does.
func commit(t *testing.T, c *Channel, followers ...*Channel) {
	t.Helper()
	for c.Pending() {
		delta := c.Flush(nil, 1<<16)
		for _, to := range append(followers, c) {
			if err := to.ApplyDelta(delta); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func wantRuns(t *testing.T, got []Run, want ...Run) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("took %v, want %v", got, want)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error %v, want %v", got, want)
	}
}

func TestFreshMessagesComeInOrderWithinTheWindow(t *testing.T) {
	c := leading(Options{})
	s := session(c, 5)
	wantRuns(t, c.Take(at(0), s, 100, 3, nil), Run{0, 3, 1})
	wantRuns(t, c.Take(at(0), s, 100, 100, nil), Run{3, 2, 1})
	wantRuns(t, c.Take(at(0), s, 100, 100, nil))
	wantErr(t, c.Finish(at(0), s, 0), nil)
	wantRuns(t, c.Take(at(0), s, 100, 100, nil), Run{5, 1, 1})
}

func TestFinishedMessagesRaiseTheFloorOnceRecorded(t *testing.T) {
	c := leading(Options{})
	s := session(c, 5)
	c.Take(at(0), s, 5, 5, nil)
	for _, off := range []Offset{0, 1, 3} {
		wantErr(t, c.Finish(at(0), s, off), nil)
	}
	if c.Floor() != 0 {
		t.Fatal("floor rose before the finishes were recorded")
	}
	commit(t, c)
	if c.Floor() != 2 || c.CountUnfinished(0, 5) != 2 {
		t.Fatalf("floor %d, unfinished %d", c.Floor(), c.CountUnfinished(0, 5))
	}
	wantErr(t, c.Finish(at(0), s, 2), nil)
	commit(t, c)
	if c.Floor() != 4 {
		t.Fatalf("floor %d, want 4", c.Floor())
	}
}

func TestRequeueAfterTimeoutCountsAttempt(t *testing.T) {
	c := leading(Options{})
	slow, other := session(c, 1), session(c, 1)
	c.Take(at(0), slow, 1, 1, nil)
	if mono, _, ok := c.NextEvent(); !ok || mono != at(60_000).Mono {
		t.Fatalf("next event at %d, %v", mono, ok)
	}
	if c.Tick(at(59_999)) != 0 || c.Tick(at(60_000)) != 1 {
		t.Fatal("timeout did not fire exactly at its time")
	}
	wantErr(t, c.Finish(at(60_000), slow, 0), ErrNotInFlight)
	wantRuns(t, c.Take(at(60_000), other, 1, 1, nil), Run{0, 1, 2})
	wantErr(t, c.Finish(at(60_000), slow, 0), ErrNotOwner)
	if n := c.Counts(1); n.TimedOut != 1 || n.InFlight != 1 || n.Depth != 0 {
		t.Fatalf("counts %+v", n)
	}
}
