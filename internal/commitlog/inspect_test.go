package commitlog

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// logDirOfTest is where the tests' log lies.
var logDirOfTest = path.Join("data", logsName, testID.String())

func inspect(t testing.TB, disk *vfs.Mem) *Inspection {
	t.Helper()
	in, err := Inspect(disk, logDirOfTest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestInspectShowsEveryEntryAndChangesNothing(t *testing.T) {
	for _, clean := range []bool{false, true} {
		disk, done, durable := stoppedLog(t, Options{MinSegmentBytes: 2 << 10, MaxSegmentBytes: 2 << 10}, clean)
		var got []record.Entry
		in, err := Inspect(disk, logDirOfTest, func(_ string, _ int64, e *record.Entry) error {
			kept := *e
			kept.Payload = append([]byte(nil), e.Payload...)
			got = append(got, kept)
			return nil
		})
		if err != nil || len(in.Damage) > 0 || in.Durable < durable {
			t.Fatalf("clean %v: %+v, %v", clean, in, err)
		}
		if len(got) != len(done) {
			t.Fatalf("clean %v: %d entries, want %d", clean, len(got), len(done))
		}
		samePrefix(t, done, got)
		again, err := readAll(disk, Options{})
		if err != nil || len(again) != len(done) {
			t.Errorf("clean %v: %d entries afterwards, %v", clean, len(again), err)
		}
	}
}

func TestATornEndIsNoDamage(t *testing.T) {
	disk, done, _ := stoppedLog(t, Options{}, false)
	files := filesOf(t, disk, segmentSuffix)
	last := inspect(t, disk).Segments[len(files)-1]
	rewrite(t, disk, last.Path, func(b []byte) []byte { b[last.IntactBytes-9] ^= 1; return b })
	in := inspect(t, disk)
	if len(in.Damage) > 0 || in.Segments[len(files)-1].Broken == "" {
		t.Fatalf("%+v", in)
	}
	if in.Segments[len(files)-1].Last >= done[len(done)-1].Index {
		t.Error("the torn entry counts")
	}
}

// Every flipped bit that the node would refuse to start with, or to read, is found by Inspect; and after a Repair the node reads
// a prefix of what was written.
func TestWhateverBitIsFlippedInspectFindsItAndRepairMendsIt(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	for _, clean := range []bool{false, true} {
		disk, done, _ := stoppedLog(t, o, clean)
		repaired := 0
		for _, file := range filesOf(t, disk, segmentSuffix) {
			size := fileSize(t, disk, file)
			for pos := int64(0); pos < size; pos += 37 {
				copied := disk.Kill()
				disk = disk.Kill()
				rewrite(t, copied, file, func(b []byte) []byte { b[pos] ^= 0x10; return b })
				in := inspect(t, copied)
				_, err := readAll(copied, o)
				var damage *DamageError
				if errors.As(err, &damage) && len(in.Damage) == 0 {
					t.Fatalf("clean %v, %s byte %d: not found, but %v", clean, file, pos, err)
				}
				r, err := Repair(copied, logDirOfTest)
				if err != nil {
					t.Fatalf("clean %v, %s byte %d: %v", clean, file, pos, err)
				}
				if r != nil {
					repaired++
				}
				checkMended(t, fmt.Sprintf("clean %v, %s byte %d", clean, file, pos), copied, o, done)
			}
		}
		if repaired == 0 {
			t.Errorf("clean %v: nothing had to be repaired", clean)
		}
	}
}

func TestRepairOfAMissingSegmentKeepsWhatLiesBefore(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, done, _ := stoppedLog(t, o, true)
	files := filesOf(t, disk, segmentSuffix)
	if err := disk.Remove(files[2]); err != nil {
		t.Fatal(err)
	}
	if in := inspect(t, disk); len(in.Damage) == 0 || in.Damage[0].Path != files[2] {
		t.Fatalf("%+v", in)
	}
	r, err := Repair(disk, logDirOfTest)
	if err != nil || r == nil || r.LostEntries == 0 || len(r.Moved) < len(files)-3 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, name := range r.Moved {
		if _, err := disk.Stat(path.Join(r.Aside, name)); err != nil {
			t.Errorf("%s is not aside: %v", name, err)
		}
	}
	checkMended(t, "without a segment", disk, o, done)
}

// The power goes at every operation of a repair in turn. Repaired once more, the log is usable, and no intact entry before the
// damage is gone.
func TestRepairSurvivesAPowerCutAtAnyOperation(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	origin, done, _ := stoppedLog(t, o, true)
	files := filesOf(t, origin, segmentSuffix)
	rewrite(t, origin, files[2], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	intact := inspect(t, origin).Segments[2].Last
	cuts := 0
	for n, finished := 0, false; !finished; n++ {
		disk := origin.Kill()
		origin = origin.Kill()
		disk.CrashAfter(n)
		_, err := Repair(disk, logDirOfTest)
		finished = err == nil && !disk.Stopped()
		if !finished {
			cuts++
		}
		after := disk.Crash(uint64(n))
		what := fmt.Sprint("power cut at operation ", n)
		if _, err := Repair(after, logDirOfTest); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		checkMended(t, what, after, o, done)
		if in := inspect(t, after); in.Segments[len(in.Segments)-1].Last < intact {
			t.Fatalf("%s: the log ends with entry %d, entry %d was intact", what, in.Segments[len(in.Segments)-1].Last, intact)
		}
	}
	if cuts < 10 {
		t.Errorf("only %d cuts", cuts)
	}
}

func TestRepairNeedsTheIdentity(t *testing.T) {
	disk, _, _ := stoppedLog(t, Options{}, true)
	rewrite(t, disk, path.Join(logDirOfTest, identityName), func(b []byte) []byte { b[9] ^= 1; return b })
	if _, err := Repair(disk, logDirOfTest); err == nil || !strings.Contains(err.Error(), "backup") {
		t.Errorf("got %v", err)
	}
}

// checkMended demands that the log opens, and holds a prefix of what was written.
func checkMended(t *testing.T, what string, disk *vfs.Mem, o Options, done []record.Entry) {
	t.Helper()
	if in := inspect(t, disk); len(in.Damage) > 0 {
		t.Fatalf("%s: still damaged: %v", what, in.Damage[0])
	}
	got, err := readAll(disk, o)
	if err != nil {
		t.Fatalf("%s: after the repair: %v", what, err)
	}
	samePrefix(t, done, got)
}

func fileSize(t testing.TB, disk *vfs.Mem, name string) int64 {
	t.Helper()
	info, err := disk.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size
}
