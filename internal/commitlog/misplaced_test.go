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

// swap exchanges two files.
func swap(t *testing.T, disk vfs.FS, a, b string) {
	t.Helper()
	for _, names := range [][2]string{{a, a + "~"}, {b, a}, {a + "~", b}} {
		if err := disk.Rename(names[0], names[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// expectNothingLost repairs and demands that every entry is there.
func expectNothingLost(t *testing.T, what string, disk vfs.FS, o Options, done []record.Entry) *Report {
	t.Helper()
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || len(report.Problems) == 0 {
		t.Fatalf("%s: %+v, %v", what, report, err)
	}
	for i := range report.Problems {
		if report.Problems[i].Loses() {
			t.Fatalf("%s: %+v", what, report.Problems[i])
		}
	}
	checkRepaired(t, what, disk, o, report, done)
	return report
}

func TestRepairPutsFilesUnderTheirNames(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, done, _ := stoppedLog(t, o, true)
	files := filesOf(t, disk, segmentSuffix)
	for what, misplace := range map[string]func(*testing.T, *vfs.Mem){
		"two swapped": func(t *testing.T, d *vfs.Mem) { swap(t, d, files[1], files[3]) },
		"three in a ring": func(t *testing.T, d *vfs.Mem) {
			swap(t, d, files[0], files[2])
			swap(t, d, files[2], files[4])
		},
		"one renamed": func(t *testing.T, d *vfs.Mem) {
			if err := d.Rename(files[2], numberedName(logDirOfTest, 9999, freshSuffix)); err != nil {
				t.Fatal(err)
			}
		},
		"a copy of one": func(t *testing.T, d *vfs.Mem) {
			b, err := vfs.ReadFile(d, files[2], 1<<20)
			if err == nil {
				err = vfs.ReplaceFile(d, numberedName(logDirOfTest, 9999, segmentSuffix), [][]byte{b})
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			damaged := disk.Clone()
			misplace(t, damaged)
			if _, err := readAll(damaged.Clone(), o); err == nil {
				t.Fatal("it goes unnoticed")
			}
			looked := damaged.Clone()
			dry, err := Repair(looked, logDirOfTest, true)
			if err != nil || len(dry.Problems) == 0 {
				t.Fatal(dry, err)
			}
			if _, err := readAll(looked, o); err == nil {
				t.Fatal("a dry run has repaired")
			}
			report := expectNothingLost(t, what, damaged.Clone(), o, done)
			if len(report.Problems) != len(dry.Problems) {
				t.Errorf("a dry run finds %+v, the repair %+v", dry.Problems, report.Problems)
			}
			for n := 1; ; n++ { // the power goes at every operation
				cut := damaged.Clone()
				cut.CrashAfter(n)
				_, err := Repair(cut, logDirOfTest, false)
				if err == nil {
					break
				}
				after := cut.Crash(uint64(n))
				if _, err := Repair(after, logDirOfTest, false); err != nil {
					t.Fatal(n, err)
				}
				got, err := readAll(after, o)
				if err != nil || len(got) != len(done) {
					t.Fatalf("cut at operation %d: %d entries of %d, %v", n, len(got), len(done), err)
				}
			}
		})
	}
}

func TestRepairMovesAnotherLogsSegmentAside(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, done, _ := stoppedLog(t, o, true)
	foreign := segmentHeader{id: LogID{Topic: 99}, base: 1, salt: [8]byte{1}}
	name := numberedName(logDirOfTest, 9999, segmentSuffix)
	if err := vfs.ReplaceFile(disk, name, [][]byte{foreign.encode()}); err != nil {
		t.Fatal(err)
	}
	expectNothingLost(t, "foreign", disk, o, done)
	names, err := disk.ReadDir(path.Join(logDirOfTest, asideName))
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], path.Base(name)) {
		t.Fatal(names, err)
	}
}

func TestRepairPutsSwappedCheckpointsUnderTheirNames(t *testing.T) {
	disk, first := trimmedLog(t, Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10})
	states := filesOf(t, disk, stateSuffix)
	swap(t, disk, states[0], states[1])
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || len(report.Problems) != 2 || report.First != first {
		t.Fatal(report, err)
	}
	if in := inspect(t, disk); len(in.Damage) != 0 || len(in.Checkpoints) != 2 {
		t.Fatalf("%+v", in)
	}
}

// The salt survives, and the first frame does not: any other frame proves the salt.
func TestRepairKeepsTheFramesBehindADamagedHeaderAndFirstFrame(t *testing.T) {
	disk, done, _ := stoppedLog(t, Options{}, true)
	rewrite(t, disk, filesOf(t, disk, segmentSuffix)[0], func(b []byte) []byte { clear(b[20 : segmentHeaderSize+8]); return b })
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		if p.Loses() && (p.FirstIndex != 1 || p.LastIndex != 1) {
			t.Errorf("%+v", p)
		}
	}
	checkRepaired(t, "header", disk, Options{}, report, done)
}

// A block that was written to another place of the same file holds intact frames, which come too early or too late.
func TestRepairIsNotMisledByCopiesOfFrames(t *testing.T) {
	disk, done, _ := stoppedLog(t, Options{}, true)
	file := filesOf(t, disk, segmentSuffix)[0]
	info, err := disk.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	size := int(info.Size)
	for _, v := range [][2]int{{size / 2, size / 4}, {size / 4, size / 2}, {size * 3 / 4, 400}, {400, size * 3 / 4}} {
		from, to := v[0]/8*8, v[1]/8*8
		damaged := disk.Clone()
		rewrite(t, damaged, file, func(b []byte) []byte { copy(b[to:to+600], append([]byte(nil), b[from:from+600]...)); return b })
		what := fmt.Sprintf("block at %d also at %d", from, to)
		report, err := Repair(damaged, logDirOfTest, false)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, p := range report.Problems {
			if p.Loses() && p.LastIndex-p.FirstIndex > 12 { // a frame takes 64 bytes at least
				t.Errorf("%s: %+v", what, p)
			}
		}
		checkRepaired(t, what, damaged, Options{}, report, done)
	}
}

// A frame that was written over the header of the one before it tells what was durable, though nothing can be put in its place.
func TestRepairSeesAFrameThatLiesOverTheHeaderOfAnother(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, Options{})
	for i := range 4 {
		src.append(controlOf(fmt.Sprint("control ", i)))
	}
	s.Close()
	rewrite(t, disk, filesOf(t, disk, segmentSuffix)[0], func(b []byte) []byte {
		mark, last := len(b)-frameHeaderSize, len(b)-frameHeaderSize-72
		copy(b[last+16:], b[mark:])
		return b[:last+16+frameHeaderSize]
	})
	if _, err := readAll(disk.Clone(), Options{}); err == nil {
		t.Fatal("it goes unnoticed")
	}
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || !report.Damaged() {
		t.Fatal(report, err)
	}
	checkRepaired(t, "overlaid", disk, Options{}, report, src.done)
}

// What is lost at the end keeps its place: indexes and offsets are not given out again, and the checkpoints of it hold.
func TestRepairOfALogThatLostItsEndGivesOutNothingTwice(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, o)
	for i := range 30 {
		src.append(batchOf(fmt.Sprint("m", i), 2, 100))
	}
	for at := record.Index(29); at <= 30; at++ {
		if err := src.log.SaveCheckpoint([]byte("state"), at); err != nil {
			t.Fatal(err)
		}
	}
	before := src.log.Bounds()
	s.Close()
	files := filesOf(t, disk, segmentSuffix)
	last := files[len(files)-1]
	for what, harm := range map[string]func(d *vfs.Mem){
		"removed":         func(d *vfs.Mem) { _ = d.Remove(last) },
		"without header":  func(d *vfs.Mem) { rewrite(t, d, last, func(b []byte) []byte { return b[:20] }) },
		"without entries": func(d *vfs.Mem) { rewrite(t, d, last, func(b []byte) []byte { return b[:segmentHeaderSize] }) },
	} {
		damaged := disk.Clone()
		harm(damaged)
		report, err := Repair(damaged, logDirOfTest, false)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s := openStore(t, damaged, o)
		l, again := openTest(t, s, testID, LogOptions{})
		state, at, err := l.Checkpoint()
		if err != nil || string(state) != "state" || at != 30 {
			t.Errorf("%s: checkpoint %q at %d, %v", what, state, at, err)
		}
		if b := l.Bounds(); b.LastIndex < before.LastIndex || b.Next < before.Next {
			t.Errorf("%s: the log ends at %+v, it was %+v\n%+v", what, b, before, report)
		}
		if _, _, err := l.NewReader().Batch(before.Next-1, l.Bounds().Next); !errors.Is(err, ErrLost) {
			t.Errorf("%s: the last message: %v", what, err)
		}
		again.append(batchOf("new", 1, 10))
		if err := again.lastErr(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		s.Close()
	}
}

func TestATrimmedLogWithoutACheckpointIsDamaged(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, _ := trimmedLog(t, o)
	for _, file := range filesOf(t, disk, stateSuffix) {
		rewrite(t, disk, file, func(b []byte) []byte { b[10] ^= 1; return b })
	}
	s := openStore(t, disk, o)
	defer s.Close()
	l, _ := openTest(t, s, testID, LogOptions{})
	var damage *DamageError
	if _, _, err := l.Checkpoint(); !errors.As(err, &damage) || damage.Path != path.Join(logDirOfTest, identityName) {
		t.Fatal(err)
	}
}
