package commitlog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// rewind makes the source number its next entries from index on, as a follower of another leader would.
func (s *testSource) rewind(from record.Index, term record.Term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from > 1 {
		before := &s.done[from-2]
		s.at = s.at.after(before)
	} else {
		s.at = logEnd{}
	}
	s.at.term = term
	s.done = s.done[:from-1]
}

func TestASuffixIsReplacedAtEveryIndex(t *testing.T) {
	o := Options{MinSegmentBytes: 700, MaxSegmentBytes: 700, CacheBytes: 4 << 10}
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		o.Sync = policy
		for from := record.Index(1); from <= 25; from++ {
			disk := vfs.NewMem(uint64(from))
			s, src := newTestLog(t, disk, o)
			for i := range 24 {
				src.append(batchOf(fmt.Sprint("old", i), 1+i%3, 50))
			}
			src.rewind(from, 5)
			src.append(batchOf("new", 2, 20), controlOf("x"))
			src.append(batchOf("newer", 2, 20))
			if err := src.lastErr(); err != nil {
				t.Fatal(err)
			}
			check := func(l *Log) {
				t.Helper()
				got := replayed(t, l)
				samePrefix(t, got, src.done)
				if b := l.Bounds(); len(got) != len(src.done) || b.LastIndex != from+2 || b.LastTerm != 5 {
					t.Fatalf("%d entries, want %d: %+v", len(got), len(src.done), b)
				}
				r := l.NewReader()
				for i := range src.done {
					e := &src.done[i]
					if term, err := l.Term(e.Index); err != nil || term != e.Term {
						t.Fatalf("term of entry %d is %d, want %d: %v", e.Index, term, e.Term, err)
					}
					if e.Kind != record.KindBatch {
						continue
					}
					b, _, err := r.Batch(e.Next()-1, l.Bounds().Next)
					if err != nil || string(b) != string(e.Payload) {
						t.Fatalf("entry %d reads differently: %v", e.Index, err)
					}
				}
			}
			check(src.log)
			after := disk.Kill()
			if policy == SyncAlways {
				after = disk.Crash(uint64(from))
			}
			s.Close()
			s = openStore(t, after, o)
			l, _ := openTest(t, s, testID, LogOptions{})
			check(l)
			s.Close()
		}
	}
}

func TestAPowerCutDuringATruncationLeavesNoHole(t *testing.T) {
	o := Options{MinSegmentBytes: 700, MaxSegmentBytes: 700}
	const from = 8
	total := 0
	run := func(n int, seed uint64) (*vfs.Mem, *testSource, []record.Entry) {
		disk := vfs.NewMem(seed)
		s, src := newTestLog(t, disk, o)
		defer s.Close()
		for i := range 24 {
			src.append(batchOf(fmt.Sprint("old", i), 1+i%3, 50))
		}
		old := append([]record.Entry(nil), src.done...)
		src.rewind(from, 5)
		before := disk.Ops()
		if n > 0 {
			disk.CrashAfter(n)
		}
		src.append(batchOf("new", 2, 20))
		src.append(batchOf("newer", 2, 20))
		total = max(total, disk.Ops()-before)
		return disk, src, old
	}
	run(0, 1)
	for n, last := 1, total; n <= last; n++ {
		for seed := range uint64(6) {
			disk, src, old := run(n, seed)
			crashed := disk.Crash(seed)
			got, err := readAll(crashed, o)
			if err != nil {
				t.Fatalf("operation %d seed %d: %v", n, seed, err)
			}
			if len(got) < from-1 {
				t.Fatalf("operation %d seed %d: committed entries are gone", n, seed)
			}
			if len(src.done) >= from { // the new leader's entry was acknowledged
				samePrefix(t, got, src.done)
				continue
			}
			for i := range got {
				if i < len(old) && got[i].Term == 1 {
					samePrefix(t, got[i:i+1], old[i:i+1])
				} else if i != from-1 && i != from {
					t.Fatalf("operation %d seed %d: entry %d of term %d", n, seed, got[i].Index, got[i].Term)
				}
			}
		}
	}
}

func TestEntriesAndTerms(t *testing.T) {
	s, src := newTestLog(t, vfs.NewMem(1), Options{MinSegmentBytes: 2 << 10, MaxSegmentBytes: 2 << 10})
	defer s.Close()
	for i := range 50 {
		if i%8 == 7 {
			src.mu.Lock()
			src.at.term++
			src.mu.Unlock()
		}
		src.append(batchOf("m", 1, 100))
	}
	l := src.log
	for lo := record.Index(1); lo <= 50; lo++ {
		if term, err := l.Term(lo); err != nil || term != src.done[lo-1].Term {
			t.Fatalf("term of %d: %d, %v", lo, term, err)
		}
		for _, limit := range []int{0, 500, 1 << 20} {
			got, err := l.Entries(lo, 51, limit)
			if err != nil || len(got) == 0 {
				t.Fatal(err)
			}
			samePrefix(t, src.done[lo-1:], got)
			size := 0
			for i := range got {
				size += len(got[i].Payload)
			}
			if len(got) > 1 && size > limit || limit == 1<<20 && len(got) != 51-int(lo) {
				t.Fatalf("%d entries of %d bytes, limit %d", len(got), size, limit)
			}
		}
	}
	if _, err := l.Entries(40, 60, 1); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
	if _, err := l.Term(51); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
	if err := l.SaveCheckpoint(nil, 50); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(30); err != nil {
		t.Fatal(err)
	}
	first := l.Bounds().FirstIndex
	if term, err := l.Term(first - 1); first < 10 || err != nil || term != src.done[first-2].Term {
		t.Fatalf("term before entry %d: %d, %v", first, term, err)
	}
	if _, err := l.Term(first - 2); !errors.Is(err, ErrCompacted) {
		t.Fatal(err)
	}
	if _, err := l.Entries(first-1, first, 1); !errors.Is(err, ErrCompacted) {
		t.Fatal(err)
	}
}

func TestCarriedMessagesOutliveTheirSegment(t *testing.T) {
	disk := vfs.NewMem(1)
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10, CacheBytes: 1}
	s, src := newTestLog(t, disk, o)
	for i := range 20 {
		src.append(batchOf(fmt.Sprint("m", i), 5, 40))
	}
	l := src.log
	wanted := map[record.Offset]bool{3: true, 17: true, 18: true, 40: true}
	var payload []byte
	times := map[record.Offset]int64{}
	r := l.NewReader()
	for o := record.Offset(0); o < 100; o += 5 {
		b, at, err := r.Batch(o, 100)
		if err != nil {
			t.Fatal(err)
		}
		var part record.Builder
		if err := record.Subset(&part, b, func(o record.Offset) bool { times[o] = at; return wanted[o] }); err != nil {
			t.Fatal(err)
		}
		if part.Count() > 0 {
			payload = record.AppendCarried(payload, at, part.Finish(1))
		}
	}
	src.append(record.Entry{Kind: record.KindCarry, Payload: payload})
	if err := l.SaveCheckpoint([]byte("s"), 21); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(90); err != nil {
		t.Fatal(err)
	}
	check := func(l *Log) {
		t.Helper()
		r := l.NewReader()
		defer r.Release()
		if l.Bounds().Start <= 40 {
			t.Fatalf("%+v", l.Bounds())
		}
		for o := range record.Offset(41) {
			b, at, err := r.Batch(o, 100)
			if !wanted[o] {
				if !errors.Is(err, ErrOffsetOutOfRange) {
					t.Fatalf("offset %d is gone, but: %v", o, err)
				}
				continue
			}
			if err != nil || at != times[o] || b.BaseOffset() > o || b.LastOffset() < o {
				t.Fatalf("offset %d at %d, want %d: %v", o, at, times[o], err)
			}
		}
	}
	check(l)
	s.Close()
	for _, replay := range []bool{false, true} { // the table comes from the checkpoint, or from the entries
		s = openStore(t, disk, o)
		l, _ = openTest(t, s, testID, LogOptions{})
		if replay {
			replayed(t, l)
		} else if _, _, err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		check(l)
		s.Close()
	}
}
