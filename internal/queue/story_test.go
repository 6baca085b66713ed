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

func TestRequeuedMessagesKeepTheirAttemptsAndDueTime(t *testing.T) {
	c := leading(Options{})
	s := session(c, 10)
	c.Take(at(0), s, 3, 3, nil)
	wantErr(t, c.Requeue(at(0), s, 2, 0), nil)
	wantErr(t, c.Requeue(at(0), s, 1, 500*time.Millisecond), nil)
	wantErr(t, c.Requeue(at(0), s, 1, 0), ErrNotInFlight)
	wantRuns(t, c.Take(at(0), s, 3, 3, nil), Run{2, 1, 2})
	if _, wall, ok := c.NextEvent(); !ok || wall != at(500).Wall {
		t.Fatalf("next due %d, %v", wall, ok)
	}
	wantRuns(t, c.Take(at(499), s, 3, 3, nil))
	wantRuns(t, c.Take(at(500), s, 3, 3, nil), Run{1, 1, 2})
}

func TestDueMessagesGetEverySecondPlaceWhileFreshOnesAreThere(t *testing.T) {
	c := leading(Options{})
	s := session(c, 100)
	c.Take(at(0), s, 10, 10, nil)
	for off := Offset(9); off >= 0; off-- {
		wantErr(t, c.Requeue(at(0), s, off, 0), nil)
	}
	wantRuns(t, c.Take(at(1), s, 20, 4, nil), Run{0, 2, 2}, Run{10, 2, 1})
	wantRuns(t, c.Take(at(1), s, 20, 1, nil), Run{2, 1, 2}) // single places go to both in turn
	wantRuns(t, c.Take(at(1), s, 20, 1, nil), Run{12, 1, 1})
	wantRuns(t, c.Take(at(1), s, 20, 1, nil), Run{3, 1, 2})
	wantRuns(t, c.Take(at(1), s, 14, 8, nil), Run{4, 4, 2}, Run{13, 1, 1}, Run{8, 2, 2}) // places that no fresh one fills
}

func TestDueMessagesComeInOrderOfDueTimeThenOffset(t *testing.T) {
	c := New(0, Options{})
	for off, due := range []int64{30, 10, 30, 20, 10} {
		c.ApplyDefer(Offset(off), due)
	}
	c.Lead(at(0))
	s := session(c, 10)
	wantRuns(t, c.Take(at(0), s, 5, 10, nil), Run{1, 1, 1}, Run{4, 1, 1}, Run{3, 1, 1}, Run{0, 1, 1}, Run{2, 1, 1})
}

func TestAttemptsStopAt65535(t *testing.T) {
	c := New(0, Options{})
	w := changeWriter{dst: []byte{deltaVersion}}
	w.endRuns()
	w.wait(0, wait{attempts: maxAttempts - 1})
	wantErr(t, c.ApplyDelta(w.dst), nil)
	c.Lead(at(0))
	s := session(c, 1)
	for range 3 {
		wantRuns(t, c.Take(at(0), s, 1, 1, nil), Run{0, 1, 65535})
		wantErr(t, c.Requeue(at(0), s, 0, 0), nil)
		commit(t, c)
	}
}

func TestTouchProlongsUpToTheLimitAfterDelivery(t *testing.T) {
	c := leading(Options{MaxMsgTimeout: 150 * time.Second})
	s := session(c, 1)
	c.Take(at(0), s, 1, 1, nil)
	for _, ms := range []int64{50_000, 100_000, 149_000} {
		if c.Tick(at(ms)) != 0 {
			t.Fatalf("timed out at %d ms though touched", ms)
		}
		wantErr(t, c.Touch(at(ms), s, 0), nil)
	}
	if mono, _, _ := c.NextEvent(); mono != at(150_000).Mono {
		t.Fatalf("deadline %d, want 150 s after the delivery", mono)
	}
	if c.Tick(at(150_000)) != 1 {
		t.Fatal("not timed out at the limit")
	}
	wantErr(t, c.Touch(at(150_000), s, 0), ErrNotInFlight)
}

func TestDeferredMessagesArePassedOverAndComeWhenDue(t *testing.T) {
	c := leading(Options{})
	s := session(c, 10)
	c.ApplyDefer(1, at(100).ms())
	wantRuns(t, c.Take(at(0), s, 3, 10, nil), Run{0, 1, 1}, Run{2, 1, 1})
	if n := c.Counts(3); n.Deferred != 1 || n.Depth != 0 {
		t.Fatalf("counts %+v", n)
	}
	wantRuns(t, c.Take(at(100), s, 3, 10, nil), Run{1, 1, 1})
}

func TestEmptyDropsWhatIsBelowAndNothingElse(t *testing.T) {
	c := leading(Options{})
	s := session(c, 10)
	c.ApplyDefer(8, at(100).ms())
	c.Take(at(0), s, 6, 6, nil)
	wantErr(t, c.Requeue(at(0), s, 2, time.Second), nil)
	wantErr(t, c.Requeue(at(0), s, 4, 0), nil)
	wantErr(t, c.Touch(at(0), s, 1), nil)
	wantErr(t, c.Finish(at(0), s, 3), nil)
	c.ApplyEmpty(4)
	wantErr(t, c.Finish(at(0), s, 1), ErrNotInFlight)
	if c.Floor() != 4 || s.InFlight() != 1 {
		t.Fatalf("floor %d, in flight %d", c.Floor(), s.InFlight())
	}
	wantRuns(t, c.Take(at(0), s, 7, 10, nil), Run{4, 1, 2}, Run{6, 1, 1})
	wantErr(t, c.Finish(at(0), s, 5), nil)
	commit(t, c)
	if n := c.Counts(9); n.InFlight != 2 || n.Deferred != 1 || n.Depth != 1 {
		t.Fatalf("counts %+v", n)
	}
}

func TestReadingAheadStopsAtTooManyUnfinished(t *testing.T) {
	c := leading(Options{MaxUnfinished: 5})
	s := session(c, 100)
	wantRuns(t, c.Take(at(0), s, 100, 3, nil), Run{0, 3, 1})
	wantErr(t, c.Requeue(at(0), s, 0, time.Hour), nil)
	wantRuns(t, c.Take(at(0), s, 100, 100, nil), Run{3, 2, 1})
	wantRuns(t, c.Take(at(0), s, 100, 100, nil))
	if n := c.Counts(100); !n.Stalled || n.Unfinished != 5 {
		t.Fatalf("counts %+v", n)
	}
	wantErr(t, c.Finish(at(0), s, 1), nil)
	if c.Counts(100).Stalled {
		t.Fatal("stalled though one was finished")
	}
	wantRuns(t, c.Take(at(0), s, 100, 100, nil), Run{5, 1, 1})
}

func TestARequeueFinishedBeforeTheFlushIsAFinish(t *testing.T) {
	c := leading(Options{})
	s := session(c, 1)
	c.Take(at(0), s, 1, 1, nil)
	wantErr(t, c.Requeue(at(0), s, 0, 0), nil)
	c.Take(at(0), s, 1, 1, nil)
	wantErr(t, c.Finish(at(0), s, 0), nil)
	waits := 0
	if err := readDelta(c.Flush(nil, 1000), func(Offset, Offset) {}, func(Offset, wait) { waits++ }); err != nil || waits != 0 {
		t.Fatalf("%d requeues recorded, %v", waits, err)
	}
}

func TestARefusedDeltaPendsAgainWithoutUndoingWhatCameLater(t *testing.T) {
	c := leading(Options{})
	s := session(c, 3)
	c.Take(at(0), s, 3, 3, nil)
	wantErr(t, c.Finish(at(0), s, 0), nil)
	wantErr(t, c.Requeue(at(0), s, 1, 0), nil)
	wantErr(t, c.Requeue(at(0), s, 2, 0), nil)
	refused := c.Flush(nil, 1000)
	c.Take(at(0), s, 3, 3, nil)
	wantErr(t, c.Finish(at(0), s, 1), nil)
	wantErr(t, c.Requeue(at(0), s, 2, 0), nil)
	later := c.Flush(nil, 1000)
	wantErr(t, c.ApplyDelta(later), nil)
	c.Refuse(refused)
	commit(t, c)
	if c.Floor() != 2 {
		t.Fatalf("floor %d, want 2", c.Floor())
	}
	if w, _ := c.cursor.waiting.get(2); w.attempts != 2 {
		t.Fatalf("recorded attempts went down to %d", w.attempts)
	}
}

func TestDropSkipsUnreadMessagesOnly(t *testing.T) {
	c := leading(Options{})
	s := session(c, 2)
	c.ApplyDefer(3, at(10).ms())
	c.Take(at(0), s, 10, 2, nil)
	if n := c.Drop(6); n != 3 { // 2, 4 and 5
		t.Fatalf("dropped %d", n)
	}
	if n := c.Drop(6); n != 0 {
		t.Fatalf("dropped %d twice", n)
	}
	commit(t, c)
	if c.CountUnfinished(0, 6) != 3 || c.Counts(10).Dropped != 3 {
		t.Fatalf("%d unfinished", c.CountUnfinished(0, 6))
	}
	wantErr(t, c.Finish(at(0), s, 0), nil)
	wantRuns(t, c.Take(at(0), s, 10, 1, nil), Run{6, 1, 1})
}

func TestANewLeaderDeliversEverythingThatIsNotRecordedAsFinished(t *testing.T) {
	c, follower := leading(Options{}), New(0, Options{})
	s := session(c, 10)
	c.Take(at(0), s, 6, 6, nil)
	wantErr(t, c.Finish(at(0), s, 1), nil)
	wantErr(t, c.Requeue(at(0), s, 2, time.Second), nil)
	commit(t, c, follower)
	wantErr(t, c.Finish(at(0), s, 3), nil) // not recorded: it comes again
	follower.Lead(at(0))
	s = session(follower, 10)
	wantRuns(t, follower.Take(at(0), s, 6, 10, nil), Run{0, 1, 1}, Run{3, 3, 1})
	wantRuns(t, follower.Take(at(1000), s, 6, 10, nil), Run{2, 1, 2})
}
