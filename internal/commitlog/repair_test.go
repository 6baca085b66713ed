package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// checkRepaired demands that a repaired log opens, holds everything but what the report gives up, and goes on.
func checkRepaired(t *testing.T, what string, disk vfs.FS, o Options, report *Report, done []record.Entry) {
	t.Helper()
	lost := func(e *record.Entry) bool {
		for _, p := range report.Problems {
			if p.FirstIndex <= e.Index && e.Index <= p.LastIndex || p.Torn && e.Index >= p.FirstIndex {
				return true
			}
		}
		return false
	}
	s := openStore(t, disk, o)
	defer s.Close()
	src, err := openSource(s, testID, LogOptions{})
	if err != nil {
		t.Fatalf("%s: repaired log does not open: %v\n%+v", what, err, report)
	}
	got := map[record.Index]record.Entry{}
	b := src.log.Bounds()
	err = src.log.Replay(b.FirstIndex-1, func(e *record.Entry) error { got[e.Index] = *e; return nil })
	if err != nil {
		t.Fatalf("%s: %v\n%+v", what, err, report)
	}
	r := src.log.NewReader()
	for i := range done {
		e := &done[i]
		g, there := got[e.Index]
		switch {
		case there:
			samePrefix(t, []record.Entry{g}, done[i:i+1])
		case !lost(e):
			t.Fatalf("%s: entry %d is gone and not reported\n%+v", what, e.Index, report)
		}
		if e.Kind != record.KindBatch || e.Base >= b.Next {
			continue
		}
		_, _, err := r.Batch(e.Base, b.Next)
		if there != (err == nil) || !there && !errors.Is(err, ErrLost) && !errors.Is(err, ErrOffsetOutOfRange) {
			t.Fatalf("%s: message %d, entry there: %v: %v", what, e.Base, there, err)
		}
	}
	src.append(batchOf("after", 1, 10))
	if err := src.lastErr(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestRepairKeepsWhatIsIntact(t *testing.T) {
	small := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	for name, c := range map[string]struct {
		o     Options
		clean bool
	}{
		"one segment, closed":   {Options{}, true},
		"many segments, closed": {small, true},
		"one segment, killed":   {Options{}, false},
		"many segments, killed": {small, false},
		"recycled, closed":      {recycling, true},
		"recycled, killed":      {recycling, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.o
			disk, done, _ := stoppedLog(t, o, c.clean)
			recycled := o.RecycleBytes > 0
			if recycled {
				disk, done = recycledLog(t, c.clean)
			}
			if report, err := Repair(disk, logDirOfTest, true); err != nil || len(report.Problems) != 0 || report.Last != done[len(done)-1].Index {
				t.Fatalf("%+v, %v", report, err)
			}
			for _, file := range filesOf(t, disk, segmentSuffix) {
				info, _ := disk.Stat(file)
				step := max(1, int(info.Size)/40)
				for at := 1; at < int(info.Size); at += step {
					copied := disk.Kill()
					disk = disk.Kill()
					what := fmt.Sprintf("%s, bytes from %d", file, at)
					rewrite(t, copied, file, func(b []byte) []byte {
						for i := at; i < min(at+90, len(b)); i++ {
							b[i] ^= 0x55
						}
						return b
					})
					dry, err := Repair(copied, logDirOfTest, true)
					// Of a recycled segment, a damaged last mark looks as if it had not been written: nothing is lost with it.
					if err != nil || c.clean && !recycled && len(dry.Problems) == 0 {
						t.Fatalf("%s: damage not noticed: %v", what, err)
					}
					report, err := Repair(copied, logDirOfTest, false)
					if err != nil || fmt.Sprint(report.Problems) != fmt.Sprint(dry.Problems) {
						t.Fatalf("%s: %v\nrepaired %+v\nverified %+v", what, err, report, dry)
					}
					checkRepaired(t, what, copied, o, report, done)
					if in, err := Inspect(copied, logDirOfTest, nil); err != nil || len(in.Damage) != 0 {
						t.Fatalf("%s: inspection finds damage: %+v, %v", what, in, err)
					}
					if again, err := Repair(copied, logDirOfTest, true); err != nil || len(again.Problems) != 0 {
						t.Fatalf("%s: still not intact: %+v, %v", what, again, err)
					}
				}
			}
		})
	}
}

func TestRepairFillsTheHoleOfAMissingSegment(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, done, _ := stoppedLog(t, o, true)
	files := filesOf(t, disk, segmentSuffix)
	for _, gone := range [][]string{files[:1], files[1:2], files[2:4], files[:2]} {
		copied := disk.Kill()
		disk = disk.Kill()
		for _, file := range gone {
			if err := copied.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		report, err := Repair(copied, logDirOfTest, false)
		if err != nil || len(report.Problems) == 0 {
			t.Fatal(report, err)
		}
		checkRepaired(t, fmt.Sprint("without ", gone), copied, o, report, done)
	}
}

func TestRepairMovesADamagedCheckpointAside(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, Options{})
	src.append(controlOf("a"))
	if err := src.log.SaveCheckpoint([]byte("state"), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	file := filesOf(t, disk, stateSuffix)[0]
	rewrite(t, disk, file, func(b []byte) []byte { b[10] ^= 1; return b })
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Path != file {
		t.Fatal(report, err)
	}
	names, err := disk.ReadDir(path.Join(logDirOfTest, asideName))
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], path.Base(file)) {
		t.Fatal(names, err)
	}
}

// The power goes at every operation of a repair in turn. Repaired once more, the log has everything that was intact.
func TestRepairSurvivesAPowerCutAtAnyOperation(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	origin, done, _ := stoppedLog(t, o, true)
	files := filesOf(t, origin, segmentSuffix)
	rewrite(t, origin, files[1], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	if err := errors.Join(origin.Remove(files[3]), origin.SyncDir(logDirOfTest)); err != nil {
		t.Fatal(err)
	}
	plan, err := Repair(origin, logDirOfTest, true)
	if err != nil || len(plan.Problems) < 2 {
		t.Fatal(plan, err)
	}
	cuts := 0
	for n, finished := 0, false; !finished; n++ {
		disk := origin.Kill()
		origin = origin.Kill()
		disk.CrashAfter(n)
		_, err := Repair(disk, logDirOfTest, false)
		finished = err == nil && !disk.Stopped()
		if !finished {
			cuts++
		}
		after := disk.Crash(uint64(n))
		what := fmt.Sprint("power cut at operation ", n)
		if _, err := Repair(after, logDirOfTest, false); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		checkRepaired(t, what, after, o, plan, done)
	}
	if cuts < 10 {
		t.Errorf("only %d cuts", cuts)
	}
}

func TestRepairWritesADamagedIdentityAnew(t *testing.T) {
	disk, done, _ := stoppedLog(t, Options{}, true)
	rewrite(t, disk, path.Join(logDirOfTest, identityName), func(b []byte) []byte { b[9] ^= 1; return b })
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Loses() {
		t.Fatal(report, err)
	}
	checkRepaired(t, "identity", disk, Options{}, report, done)
}

func TestRepairSaysThatWithoutIdentityItDoesNotKnowTheBeginning(t *testing.T) {
	disk, first := trimmedLog(t, Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10})
	if err := disk.Remove(path.Join(logDirOfTest, identityName)); err != nil {
		t.Fatal(err)
	}
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Action, fmt.Sprintf("before entry %d was trimmed or is lost", first)) {
		t.Fatalf("%+v, %v", report, err)
	}
}

// A damaged header of the oldest segment that a trim has left costs none of its entries.
func TestRepairReadsALostHeaderFromTheFirstFrame(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, first := trimmedLog(t, o)
	file := filesOf(t, disk, segmentSuffix)[0]
	rewrite(t, disk, file, func(b []byte) []byte { b[33] ^= 1; return b })
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Loses() || report.First != first {
		t.Fatalf("%+v, %v", report, err)
	}
	if in := inspect(t, disk); len(in.Damage) != 0 {
		t.Fatal(in.Damage)
	}
}

func TestRepairNeedsACheckpointForWhatIsTrimmed(t *testing.T) {
	disk, _ := trimmedLog(t, Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10})
	for _, file := range filesOf(t, disk, stateSuffix) {
		rewrite(t, disk, file, func(b []byte) []byte { b[10] ^= 1; return b })
	}
	if report, err := Repair(disk, logDirOfTest, false); err == nil || !strings.Contains(err.Error(), "restore it from a backup") || len(report.Problems) == 0 {
		t.Fatal(report, err)
	}
	if states := filesOf(t, disk, stateSuffix); len(states) == 0 {
		t.Error("the refused repair moved files")
	}
}

// trimmedLog returns a log whose first segments are trimmed, and its first index.
func trimmedLog(t *testing.T, o Options) (*vfs.Mem, record.Index) {
	t.Helper()
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, o)
	defer s.Close()
	for i := range 30 {
		src.append(batchOf(fmt.Sprint("m", i), 1, 100), controlOf("c"))
	}
	for at := record.Index(30); at < 32; at++ {
		if err := src.log.SaveCheckpoint([]byte("state"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.log.Trim(12); err != nil {
		t.Fatal(err)
	}
	first := src.log.Bounds().FirstIndex
	if first == 1 {
		t.Fatal("nothing was trimmed")
	}
	return disk, first
}

// Carried messages whose carry entry is damaged, and what went with a repaired log's segments, is lost, not out of range.
func TestWhatARepairedLogHoldsNoMoreIsLost(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, _ := trimmedLog(t, o)
	read := func() error {
		s := openStore(t, disk, o)
		defer s.Close()
		src, err := openSource(s, testID, LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = src.log.NewReader().Batch(0, src.log.Bounds().Next)
		return err
	}
	if err := read(); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatalf("before the repair: %v", err)
	}
	file := filesOf(t, disk, segmentSuffix)[1]
	rewrite(t, disk, file, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	if report, err := Repair(disk, logDirOfTest, false); err != nil || !report.Damaged() {
		t.Fatal(report, err)
	}
	if err := read(); !errors.Is(err, ErrLost) {
		t.Fatalf("after the repair: %v", err)
	}
}

func TestRepairRefusesToLoseTheCatalog(t *testing.T) {
	disk := vfs.NewMem(1)
	s := openStore(t, disk, Options{})
	if err := s.Create(LogID{}); err != nil {
		t.Fatal(err)
	}
	src, err := openSource(s, LogID{}, LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	src.append(controlOf("a"))
	src.append(controlOf("b"))
	s.Close()
	dir := path.Join("data", logsName, LogID{}.String())
	file := numberedName(dir, 1, segmentSuffix)
	var damaged []byte
	rewrite(t, disk, file, func(b []byte) []byte {
		b[segmentHeaderSize+frameHeaderSize] ^= 1
		damaged = append(damaged, b...)
		return b
	})
	for _, dryRun := range []bool{true, false} {
		report, err := Repair(disk, dir, dryRun)
		if err == nil || !strings.Contains(err.Error(), "restore it from a backup") || len(report.Problems) != 1 {
			t.Fatal(report, err)
		}
	}
	if now, err := vfs.ReadFile(disk, file, 1<<20); err != nil || !bytes.Equal(now, damaged) {
		t.Error("the refused repair changed the segment", err)
	}
}
