package logtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// segments returns the log's files and fails the test unless they fit together.
func (s *subject) segments() []broker.Segment {
	s.t.Helper()
	list := s.log.Segments()
	if len(list) == 0 {
		s.t.Fatal("the log has no active segment")
	}
	start, end := s.log.Bounds()
	if list[0].First != start || list[len(list)-1].Next != end {
		s.t.Fatalf("segments cover [%d, %d), bounds are [%d, %d)", list[0].First, list[len(list)-1].Next, start, end)
	}
	for i, seg := range list {
		if !seg.Sealed && i < len(list)-1 { // the last is sealed, too, while nothing was appended since a restart
			s.t.Fatalf("segment %d of %d: sealed is %v", i, len(list), seg.Sealed)
		}
		if seg.Next < seg.First || i > 0 && (seg.First != list[i-1].Next) {
			s.t.Fatalf("segment %d covers [%d, %d): %+v", i, seg.First, seg.Next, list)
		}
		if seg.Next > seg.First && (seg.Bytes <= 0 || seg.LastTime == 0) {
			s.t.Fatalf("segment %d has %d bytes, last time %d", i, seg.Bytes, seg.LastTime)
		}
	}
	return list
}

// roll rolls and fails the test unless that sealed everything.
func (s *subject) roll() {
	s.t.Helper()
	if err := s.log.Roll(); err != nil {
		s.t.Fatal(err)
	}
	list := s.segments()
	if active := list[len(list)-1]; active.Sealed || active.First != active.Next {
		s.t.Fatalf("after Roll the active segment covers [%d, %d)", active.First, active.Next)
	}
}

// checkpoint saves a checkpoint of all that is applied.
func (s *subject) checkpoint(state string) record.Index {
	s.t.Helper()
	at := s.machine.Last()
	if err := s.log.SaveCheckpoint([]byte(state), at); err != nil {
		s.t.Fatal(err)
	}
	return at
}

func testRoll(t *testing.T, s *subject) {
	s.publishMany(6)
	s.roll()
	n := len(s.segments())
	if n < 2 {
		t.Fatalf("%d segments after Roll", n)
	}
	s.roll()
	if got := len(s.segments()); got != n {
		t.Fatalf("Roll of an empty active segment made %d segments of %d", got, n)
	}
	s.publishMany(6)
	if got := len(s.segments()); got != n {
		t.Fatalf("%d segments, not %d, after publishing", got, n)
	}
	s.roll()
	if got := len(s.segments()); got != n+1 {
		t.Fatalf("%d segments, not %d, after the second Roll", got, n+1)
	}
	before := s.machine.Entries()
	s.restart(0)
	s.segments()
	for i, e := range s.machine.Entries()[:len(before)] {
		expectEntry(t, &e, &before[i])
	}
}

func testTrimNeedsCheckpoint(t *testing.T, s *subject) {
	bodies := s.publishMany(6)
	s.roll()
	if err := s.log.Trim(record.Offset(len(bodies))); err != nil {
		t.Fatal(err)
	}
	if start, _ := s.log.Bounds(); start != 0 {
		t.Fatalf("trimmed to %d without a checkpoint", start)
	}
	s.expectBodies(0, bodies)
}

func testTrim(t *testing.T, s *subject) {
	var bodies [][]byte
	var ends []record.Offset
	for range 4 {
		bodies = append(bodies, s.publishMany(6)...)
		s.roll()
		ends = append(ends, record.Offset(len(bodies)))
	}
	bodies = append(bodies, s.publishMany(3)...)
	s.checkpoint("older")
	s.publish([]byte("last"))
	bodies = append(bodies, []byte("last"))
	at := s.checkpoint("newer")

	expectStart := func(want record.Offset) {
		t.Helper()
		s.machine.Check(t)
		if start, _ := s.log.Bounds(); start != want {
			t.Fatalf("the log begins at %d, not %d", start, want)
		}
		rd := s.log.NewReader()
		if want > 0 {
			if _, _, err := rd.Batch(want - 1); !errors.Is(err, broker.ErrOffsetOutOfRange) {
				t.Fatalf("reading the trimmed offset %d: %v", want-1, err)
			}
		}
		s.segments()
		s.expectBodies(want, bodies[want:])
	}
	trim := func(below record.Offset) {
		t.Helper()
		if err := s.log.Trim(below); err != nil {
			t.Fatal(err)
		}
	}
	trim(ends[0] - 1)
	expectStart(0)
	trim(ends[0])
	expectStart(ends[0])
	trim(ends[2] + 1)
	expectStart(ends[2])
	trim(0)
	expectStart(ends[2])
	s.restart(at)
	expectStart(ends[2])
	if got := s.machine.Entries(); slices.ContainsFunc(got, func(e record.Entry) bool { return e.Kind != record.KindRaft }) {
		t.Fatalf("%d entries were replayed above the last", len(got))
	}
	trim(record.Offset(len(bodies)))
	if list := s.segments(); list[0].First < ends[3] {
		t.Fatalf("the log begins at %d after a trim of everything", list[0].First)
	}
}

// expectCarried fails the test unless offset reads as part of a batch with gaps, with its old time.
func (s *subject) expectCarried(offset record.Offset, at int64, body string) {
	s.t.Helper()
	rd := s.log.NewReader()
	defer rd.Release()
	b, time, err := rd.Batch(offset)
	if err != nil {
		s.t.Fatalf("read the carried offset %d: %v", offset, err)
	}
	bodies, err := Bodies(b)
	if err != nil || string(bodies[offset]) != body || time != at {
		s.t.Fatalf("offset %d holds %q of time %d, %v; carried was %q of time %d", offset, bodies[offset], time, err, body, at)
	}
}

func testCarry(t *testing.T, s *subject) {
	var times []int64 // of the messages
	for range 3 {
		s.publish([]byte("a"), []byte("b"), []byte("c"))
		entries := s.machine.Entries()
		for range 3 {
			times = append(times, entries[len(entries)-1].Time)
		}
	}
	s.roll()
	// Offsets 0 and 2 stay, and 7 of another batch.
	payload := record.AppendCarried(nil, times[0], at(0, sparse([]int{0, 2}, [][]byte{[]byte("a"), []byte("c")})))
	payload = record.AppendCarried(payload, times[7], at(7, sparse([]int{0}, [][]byte{[]byte("b")})))
	if p := Propose(s.log, s.machine, record.KindCarry, payload).Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	for i, seg := range s.segments() {
		if seg.Carries != !seg.Sealed {
			t.Errorf("segment %d: carries is %v", i, seg.Carries)
		}
	}
	upTo := s.checkpoint("state")
	if err := s.log.Trim(9); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if start, end := s.log.Bounds(); start != 9 || end != 9 {
			t.Fatalf("bounds are [%d, %d) after the trim", start, end)
		}
		s.expectCarried(0, times[0], "a")
		s.expectCarried(2, times[2], "c")
		s.expectCarried(7, times[7], "b")
		rd := s.log.NewReader()
		defer rd.Release()
		for _, off := range []record.Offset{1, 3, 6, 8} {
			if _, _, err := rd.Batch(off); !errors.Is(err, broker.ErrOffsetOutOfRange) {
				t.Fatalf("reading offset %d, trimmed and not carried: %v", off, err)
			}
		}
	}
	check()
	s.restart(upTo)
	check()
	// Carried again, offset 2 alone outlives the next segment.
	s.publish([]byte("d"))
	s.roll()
	again := record.AppendCarried(nil, times[2], at(2, sparse([]int{0}, [][]byte{[]byte("c")})))
	if p := Propose(s.log, s.machine, record.KindCarry, again).Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	s.expectCarried(2, times[2], "c")
	s.checkpoint("newer")
	if err := s.log.Trim(10); err != nil {
		t.Fatal(err)
	}
	s.expectCarried(2, times[2], "c")
	if _, _, err := s.log.NewReader().Batch(0); !errors.Is(err, broker.ErrOffsetOutOfRange) {
		t.Fatalf("reading offset 0, carried by a trimmed segment: %v", err)
	}
}

// at gives a batch its base offset.
func at(base record.Offset, b record.Batch) record.Batch {
	b.Stamp(base, 1)
	return b
}
