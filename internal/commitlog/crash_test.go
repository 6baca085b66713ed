package commitlog

import (
	"errors"
	"fmt"
	"path"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// crashRun is a workload on a disk that stops at some point, and what was promised until then.
type crashRun struct {
	disk   *vfs.Mem
	policy SyncPolicy

	created, deleted, deleting bool
	src                        *testSource
	put                        []record.Entry // everything handed over, done or not
	durable                    record.Index   // last seen durable
	trimmed                    record.Offset  // of the last Trim that was begun
	saved, saving              record.Index   // checkpoint acknowledged, and begun
	recycled                   int            // segments that are written over deleted ones, at most at a time
	other                      *testSource    // a log that is created, filled, and deleted
}

func (r *crashRun) options() Options {
	return Options{FS: r.disk, Dir: "data", Logger: quiet(), Sync: r.policy, MinSegmentBytes: 600, MaxSegmentBytes: 1200}
}

var otherID = LogID{Topic: 7}

// work runs until it is through or the disk stops.
func (r *crashRun) work() {
	s, err := OpenStore(r.options())
	if err != nil {
		return
	}
	defer s.Close()
	if s.Create(testID) != nil {
		return
	}
	r.created = true
	if r.src, err = openSource(s, testID, LogOptions{}); err != nil {
		return
	}
	r.appends(0, 6)
	if s.Create(otherID) == nil {
		if r.other, err = openSource(s, otherID, LogOptions{}); err == nil {
			r.other.append(batchOf("other", 3, 30))
		}
	}
	l := r.src.log
	r.appends(6, 16)
	r.checkpoint(5)
	r.appends(16, 20)
	r.checkpoint(18)
	l.Roll()
	r.trim(15)
	r.appends(20, 24)
	r.checkpoint(24)
	r.trim(40)
	if r.other != nil && r.other.log.Close() == nil {
		r.deleting = true
		r.deleted = s.Delete(otherID) == nil
		waitForJanitor(s) // its files lie ready to be written over
	}
	r.appends(24, 30)
	if l.Close() != nil {
		return
	}
	// A second life of the process.
	if src, err := openSource(s, testID, LogOptions{}); err == nil {
		src.done = append(src.done, r.src.done...)
		r.src = src
		r.appends(30, 36)
	}
}

// appends adds entries of different sizes, some of them two or three to a round.
func (r *crashRun) appends(from, to int) {
	for i := from; i < to && !r.disk.Stopped(); i++ {
		entries := []record.Entry{batchOf(fmt.Sprint("m", i), 1+i%4, 20+i*7%90)}
		if i%3 == 0 {
			entries = append(entries, controlOf(fmt.Sprint("c", i)))
		}
		if i%5 == 0 {
			entries = append(entries, batchOf(fmt.Sprint("n", i), 2, 300))
		}
		n := r.src.put(entries...)
		r.put = append(r.put, r.numbered(len(entries))...)
		r.src.wait(n)
		r.durable = max(r.durable, r.src.log.Bounds().DurableIndex)
		r.recycled = max(r.recycled, recycledSegments(r.src.log))
	}
}

// numbered returns copies of the last n entries put, as they were numbered, so that they can be compared later.
func (r *crashRun) numbered(n int) []record.Entry {
	r.src.mu.Lock()
	defer r.src.mu.Unlock()
	return r.src.all[len(r.src.all)-n:]
}

func (r *crashRun) checkpoint(at record.Index) {
	r.saving = max(r.saving, at)
	if r.src.log.SaveCheckpoint(fmt.Append(nil, "state ", at), at) == nil {
		r.saved = max(r.saved, at)
	}
}

func (r *crashRun) trim(below record.Offset) {
	r.trimmed = max(r.trimmed, below)
	r.src.log.Trim(below)
	waitForJanitor(r.src.log.store) // what is deleted lies ready to be written over
}

// verify opens what a crash left and compares it with the promises. promised entries must be there.
func (r *crashRun) verify(t *testing.T, promised []record.Entry) {
	t.Helper()
	s, err := OpenStore(r.options())
	if err != nil {
		t.Fatal("the store does not open:", err)
	}
	defer s.Close()
	r.verifyOther(t, s)
	src, err := openSource(s, testID, LogOptions{})
	if errors.Is(err, ErrNotFound) && !r.created {
		return
	}
	if err != nil {
		t.Fatal("the log does not open:", err)
	}
	l := src.log
	state, at, err := l.Checkpoint()
	if err != nil || at < r.saved || at > r.saving || at > 0 && string(state) != fmt.Sprint("state ", at) {
		t.Fatalf("checkpoint %q at %d, %v; saved %d, begun %d", state, at, err, r.saved, r.saving)
	}
	b := l.Bounds()
	if b.Start > r.trimmed || b.FirstIndex > r.saving+1 {
		t.Fatalf("the log begins with entry %d, offset %d; trimmed at most to %d", b.FirstIndex, b.Start, r.trimmed)
	}
	got := replayed(t, l)
	if len(promised) > 0 {
		if last := promised[len(promised)-1].Index; b.LastIndex < last {
			t.Fatalf("%d entries came back, %d were promised", b.LastIndex, last)
		}
	}
	if len(got) > 0 {
		samePrefix(t, r.put[b.FirstIndex-1:], got)
	}
	r.read(t, l, b)
	// It goes on, and a clean stop brings all of it back.
	src.append(batchOf("after", 2, 10), controlOf("after"))
	if err := src.lastErr(); err != nil {
		t.Fatal(err)
	}
	want := append(got, src.done...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	src, err = openSource(s, testID, LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again := replayed(t, src.log); len(again) != len(want) {
		t.Fatalf("%d entries after a clean stop, want %d", len(again), len(want))
	} else {
		samePrefix(t, again, want)
	}
}

func (r *crashRun) read(t *testing.T, l *Log, b Bounds) {
	t.Helper()
	reader := l.NewReader()
	defer reader.Release()
	for o := b.Start; o < b.Next; o++ {
		if batch, _, err := reader.Batch(o, b.Next); err != nil || batch.BaseOffset() > o || batch.LastOffset() < o {
			t.Fatalf("offset %d: %v", o, err)
		}
	}
}

func (r *crashRun) verifyOther(t *testing.T, s *Store) {
	t.Helper()
	src, err := openSource(s, otherID, LogOptions{})
	switch {
	case err == nil && r.deleted:
		t.Fatal("a deleted log is back")
	case err == nil:
		if r.other != nil && r.policy == SyncAlways {
			samePrefix(t, replayed(t, src.log), r.other.done)
		}
	case !errors.Is(err, ErrNotFound):
		t.Fatal(err)
	case r.other != nil && !r.deleting:
		t.Fatal("a created log is gone")
	}
}

// eachCrash runs the workload again and again, stopping the disk one operation later each time.
func eachCrash(t *testing.T, policy SyncPolicy, seeds int, check func(t *testing.T, r *crashRun, seed uint64)) {
	whole := &crashRun{disk: vfs.NewMem(1), policy: policy}
	whole.work()
	total := whole.disk.Ops()
	if len(whole.src.done) != len(whole.put) || !whole.deleted || whole.saved != 24 || whole.recycled < 2 {
		t.Fatalf("the workload does not run through: %+v", whole)
	}
	if testing.Short() {
		seeds = 1
	}
	for n := 1; n <= total; n++ {
		for seed := range uint64(seeds) {
			r := &crashRun{disk: vfs.NewMem(seed), policy: policy}
			r.disk.CrashAfter(n)
			r.work()
			ok := t.Run(fmt.Sprintf("operation %d seed %d", n, seed), func(t *testing.T) { check(t, r, seed) })
			if !ok {
				return
			}
		}
	}
}

func (r *crashRun) done() []record.Entry {
	if r.src == nil {
		return nil
	}
	r.src.mu.Lock()
	defer r.src.mu.Unlock()
	return r.src.done
}

func TestWhatWasSyncedSurvivesAPowerCut(t *testing.T) {
	eachCrash(t, SyncAlways, 4, func(t *testing.T, r *crashRun, seed uint64) {
		promised := r.done()
		r.disk = r.disk.Crash(seed)
		r.verify(t, promised)
	})
}

func TestWhatWasSyncedSurvivesAPowerCutDuringRecovery(t *testing.T) {
	eachCrash(t, SyncAlways, 1, func(t *testing.T, r *crashRun, seed uint64) {
		promised := r.done()
		r.disk = r.disk.Crash(seed)
		for n := 1; n < 12; n += 2 {
			r.disk.CrashAfter(n)
			if s, err := OpenStore(r.options()); err == nil {
				openSource(s, testID, LogOptions{})
				s.Close()
			}
			r.disk = r.disk.Crash(seed + uint64(n))
		}
		// What recovery cut must stay cut when the log goes on and the power goes again.
		if s, err := OpenStore(r.options()); err == nil {
			if src, err := openSource(s, testID, LogOptions{}); err == nil {
				kept := replayed(t, src.log)
				end := int(src.log.Bounds().LastIndex)
				src.append(controlOf("goes on"))
				r.put = append(r.put[:min(len(r.put), end)], src.done...)
				promised = append(kept, src.done...)
			}
			r.disk = r.disk.Crash(seed)
			s.Close()
		}
		r.verify(t, promised)
	})
}

func TestWhatWasWrittenSurvivesAKill(t *testing.T) {
	eachCrash(t, SyncOS, 1, func(t *testing.T, r *crashRun, _ uint64) {
		promised := r.done()
		r.disk = r.disk.Kill()
		r.verify(t, promised)
	})
}

func TestAPowerCutUnderSyncOSLeavesAPrefix(t *testing.T) {
	eachCrash(t, SyncOS, 4, func(t *testing.T, r *crashRun, seed uint64) {
		promised := r.put[:min(int(r.durable), len(r.put))]
		r.disk = r.disk.Crash(seed)
		r.verify(t, promised)
	})
}

// What a node recovers by itself is not to be repaired: a repair would keep what the next start cuts, and call it lost.
func TestAPowerCutLeavesNothingToRepair(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		eachCrash(t, policy, 2, func(t *testing.T, r *crashRun, seed uint64) {
			r.disk = r.disk.Crash(seed)
			if _, err := r.disk.Stat(path.Join(logDirOfTest, identityName)); err != nil {
				return
			}
			if report, err := Repair(r.disk, logDirOfTest, true); err != nil || report.Damaged() {
				t.Fatalf("%+v, %v", report, err)
			}
		})
	}
}
