package commitlog

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// leaderCopy is what an import is made of: a log whose front is trimmed, its entries and its newest state.
func leaderCopy(t *testing.T, o Options) (Origin, []record.Entry, []byte) {
	t.Helper()
	s, src := newTestLog(t, vfs.NewMem(1), o)
	defer s.Close()
	for i := range 40 {
		src.append(batchOf(fmt.Sprint("m", i), 1+i%3, 60))
	}
	for _, at := range []record.Index{29, 30} {
		if err := src.log.SaveCheckpoint(fmt.Append(nil, "state ", at), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.log.Trim(1 << 30); err != nil {
		t.Fatal(err)
	}
	b := src.log.Bounds()
	origin := src.log.Origin()
	if b.FirstIndex < 2 || origin.Index != b.FirstIndex-1 || origin.Next != b.Start {
		t.Fatalf("bounds %+v, origin %+v", b, origin)
	}
	entries, err := src.log.Entries(b.FirstIndex, 31, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return origin, entries, []byte("state 30")
}

func importCopy(s *Store, origin Origin, entries []record.Entry, state []byte) error {
	im, err := s.Import(testID, origin)
	if err != nil {
		return err
	}
	for i := range entries {
		if err := im.Append(entries[i : i+1]); err != nil {
			im.Abandon()
			return err
		}
	}
	return im.Finish(state)
}

func TestAnImportTakesTheLogsPlaceOrLeavesIt(t *testing.T) {
	o := Options{MinSegmentBytes: 700, MaxSegmentBytes: 700}
	origin, entries, state := leaderCopy(t, o)
	total := 0
	run := func(n int) *vfs.Mem {
		disk := vfs.NewMem(7)
		s, src := newTestLog(t, disk, o)
		defer s.Close()
		for i := range 5 {
			src.append(batchOf(fmt.Sprint("old", i), 2, 50))
		}
		if err := src.log.Close(); err != nil {
			t.Fatal(err)
		}
		before := disk.Ops()
		if n > 0 {
			disk.CrashAfter(n)
		}
		err := importCopy(s, origin, entries, state)
		if err == nil {
			err = s.Adopt(testID)
		}
		if n == 0 && err != nil {
			t.Fatal(err)
		}
		total = max(total, disk.Ops()-before)
		return disk
	}
	verify := func(disk *vfs.Mem, n int) (adopted bool) {
		s := openStore(t, disk, o)
		defer s.Close()
		l, src := openTest(t, s, testID, LogOptions{})
		if b := l.Bounds(); b.LastIndex == 5 {
			return false
		} else if b.LastIndex != 30 || b.FirstIndex != origin.Index+1 || b.Start != origin.Next {
			t.Fatalf("operation %d: %+v", n, b)
		}
		if got, at, err := l.Checkpoint(); err != nil || at != 30 || string(got) != string(state) {
			t.Fatalf("operation %d: checkpoint %q at %d, %v", n, got, at, err)
		}
		if term, err := l.Term(origin.Index); err != nil || term != origin.Term {
			t.Fatalf("operation %d: term before the first entry %d, %v", n, term, err)
		}
		got, err := l.Entries(origin.Index+1, 31, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		samePrefix(t, got, entries)
		src.append(batchOf("after", 1, 10))
		return true
	}
	if !verify(run(0).Crash(1), 0) {
		t.Fatal("the import was not adopted")
	}
	seen := map[bool]int{}
	for n, last := 1, total; n <= last; n++ {
		for seed := range uint64(3) {
			seen[verify(run(n).Crash(seed), n)]++
		}
	}
	if seen[false] == 0 || seen[true] == 0 {
		t.Fatalf("outcomes %v: every cut ended the same way", seen)
	}
}

func TestAnImportRefusesEntriesThatDoNotFollow(t *testing.T) {
	s := openStore(t, vfs.NewMem(1), Options{})
	defer s.Close()
	im, err := s.Import(testID, Origin{Index: 10, Term: 3, Next: 100, Time: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Abandon()
	good := record.Entry{Kind: record.KindControl, Index: 11, Term: 3, Base: 100, Time: 5, Payload: []byte("x")}
	for what, change := range map[string]func(e *record.Entry){
		"index": func(e *record.Entry) { e.Index = 12 }, "term": func(e *record.Entry) { e.Term = 2 },
		"offset": func(e *record.Entry) { e.Base = 101 }, "time": func(e *record.Entry) { e.Time = 4 },
		"kind": func(e *record.Entry) { e.Kind = kindMark },
	} {
		bad := good
		change(&bad)
		if err := im.Append([]record.Entry{bad}); err == nil {
			t.Errorf("an entry with another %s was taken", what)
		}
	}
	if err := im.Append([]record.Entry{good}); err != nil {
		t.Fatal(err)
	}
}
