package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

func testCheckpoints(t *testing.T, s *subject) {
	expect := func(state string, at record.Index) {
		t.Helper()
		got, from, err := s.log.Checkpoint()
		if err != nil || string(got) != state || from != at {
			t.Fatalf("checkpoint is %q at %d, %v; want %q at %d", got, from, err, state, at)
		}
	}
	expect("", 0)
	s.publishMany(10)
	var states []string
	var at record.Index
	for i := range 4 {
		s.publish([]byte("one more"))
		at = s.machine.Last()
		states = append(states, fmt.Sprintf("state %d %s", i, bytes.Repeat([]byte{'s'}, i*40_000)))
		if err := s.log.SaveCheckpoint([]byte(states[i]), at); err != nil {
			t.Fatal(err)
		}
		expect(states[i], at)
	}
	s.restart(at)
	expect(states[3], at)
}

func testStart(t *testing.T, s *subject) {
	s.publishMany(30)
	if p := Propose(s.log, s.machine, record.KindControl, []byte("change")).Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	s.publishMany(5)
	all := s.machine.Entries()
	last := all[len(all)-1].Index
	start, end := s.log.Bounds()
	for _, above := range []record.Index{0, 1, last / 2, last - 1, last} {
		s.restart(above)
		replayed := s.machine.Entries()
		for _, want := range all {
			if want.Index <= above {
				continue
			}
			if len(replayed) == 0 {
				t.Fatalf("above %d: entry %d is missing", above, want.Index)
			}
			expectEntry(t, &replayed[0], &want)
			replayed = replayed[1:]
		}
		for _, e := range replayed {
			if e.Kind != record.KindRaft || e.Base != end {
				t.Fatalf("above %d: entry %d (kind %d, base %d) appeared after the last, %d", above, e.Index, e.Kind, e.Base, last)
			}
		}
		if newStart, newEnd := s.log.Bounds(); newStart != start || newEnd != end {
			t.Fatalf("above %d: bounds are [%d, %d), were [%d, %d)", above, newStart, newEnd, start, end)
		}
	}
	s.restart(0)
	s.expectReads()
	if p := s.publish([]byte("goes on")); p.Base != end {
		t.Fatalf("the first message after a restart is at %d, not %d", p.Base, end)
	}
	s.expectReads()
}

// expectEntry fails the test unless an entry is exactly what was applied before.
func expectEntry(t *testing.T, got, want *record.Entry) {
	t.Helper()
	if got.Kind != want.Kind || got.Flags != want.Flags || got.Term != want.Term || got.Index != want.Index ||
		got.Base != want.Base || got.Time != want.Time || !bytes.Equal(got.Payload, want.Payload) {
		t.Fatalf("replayed entry %d (kind %d, flags %d, term %d, base %d, time %d, %d bytes)\n"+
			"as entry %d (kind %d, flags %d, term %d, base %d, time %d, %d bytes)",
			want.Index, want.Kind, want.Flags, want.Term, want.Base, want.Time, len(want.Payload),
			got.Index, got.Kind, got.Flags, got.Term, got.Base, got.Time, len(got.Payload))
	}
}

func testCloseAnswers(t *testing.T, s *subject) {
	var waiters []*Waiter
	for i := range 200 {
		waiters = append(waiters, Propose(s.log, s.machine, record.KindBatch, Batch(fmt.Append(nil, "body ", i))))
	}
	s.close()
	bases := map[int]record.Offset{}
	unknown := map[int]bool{}
	for i, w := range waiters {
		if !w.Answered() {
			t.Fatalf("proposal %d is not answered after Close", i)
		}
		switch p := w.Outcome(t); {
		case p.Err == nil:
			bases[i] = p.Base
		case errors.Is(p.Err, broker.ErrUnknown):
			unknown[i] = true
		case !errors.Is(p.Err, broker.ErrClosed):
			t.Errorf("proposal %d ended with %v", i, p.Err)
		}
	}
	s.restart(0)
	_, end := s.log.Bounds()
	if int(end) < len(bases) || int(end) > len(bases)+len(unknown) {
		t.Errorf("%d messages after %d were committed and %d unknown", end, len(bases), len(unknown))
	}
	for i, base := range bases {
		s.expectBodies(base, [][]byte{fmt.Append(nil, "body ", i)})
	}
}

func testClosed(t *testing.T, s *subject) {
	s.publishMany(5)
	rd := s.log.NewReader()
	if _, _, err := rd.Batch(0); err != nil {
		t.Fatal(err)
	}
	rd.Release()
	applied := len(s.machine.Entries())
	s.close()
	for _, kind := range []record.Kind{record.KindBatch, record.KindControl} {
		w := Propose(s.log, nil, kind, Batch([]byte("late")))
		if p := w.Outcome(t); !errors.Is(p.Err, broker.ErrClosed) {
			t.Errorf("a proposal of kind %d to a closed log ended with %v", kind, p.Err)
		}
	}
	if _, _, err := rd.Batch(0); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("reading a closed log: %v", err)
	}
	if got := len(s.machine.Entries()); got != applied {
		t.Errorf("%d entries were applied after Close", got-applied)
	}
}
