package queue

import "testing"

func TestForeignDeltasFinishAndCountAttempts(t *testing.T) {
	c := New(0, Options{})
	for _, delta := range [][]byte{FinishedDelta(0, 10), FinishedDelta(20, 30), FinishedDelta(7, 7),
		AttemptedDelta([]Attempted{{12, 3}, {15, 1}})} {
		if err := c.ApplyDelta(delta); err != nil {
			t.Fatal(err)
		}
	}
	var unfinished []Offset
	c.EachUnfinished(0, 32, func(off Offset) bool { unfinished = append(unfinished, off); return true })
	if len(unfinished) != 12 || unfinished[0] != 10 || unfinished[10] != 30 {
		t.Errorf("unfinished %v", unfinished)
	}
	if attempts, due, ok := c.WaitOf(12); attempts != 3 || due != 0 || !ok {
		t.Errorf("offset 12: %d attempts, due %d, %v", attempts, due, ok)
	}
	if _, _, ok := c.WaitOf(13); ok {
		t.Error("offset 13 waits")
	}

	now := Now{Mono: 1, Wall: 1e9}
	c.Lead(now)
	s := c.AddSession(1e9, 0)
	c.SetReady(s, 100)
	attempts := map[Offset]uint16{}
	for _, run := range c.Take(now, s, 32, 100, nil) {
		for i := range run.Count {
			attempts[run.First+Offset(i)] = run.Attempts
		}
	}
	if len(attempts) != 12 || attempts[12] != 4 || attempts[15] != 2 || attempts[30] != 1 {
		t.Errorf("delivered %v", attempts)
	}
}
