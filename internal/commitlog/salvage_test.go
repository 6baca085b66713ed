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

var testLogDir = path.Join("data", logsName, testID.String())

// checkSalvaged demands that a repaired log opens, holds everything but what the report gives up, and goes on.
func checkSalvaged(t *testing.T, what string, disk vfs.FS, o Options, report *Report, done []record.Entry) {
	t.Helper()
	lost := func(e *record.Entry) bool {
		for _, p := range report.Problems {
			if p.FirstIndex <= e.Index && e.Index <= p.LastIndex || strings.HasPrefix(p.Action, "left to the next start") && e.Index >= p.FirstIndex {
				return true
			}
		}
		return false
	}
	s := openStore(t, disk, o)
	defer s.Close()
	src, err := openSource(s, testID, LogOptions{})
	if err != nil {
		t.Fatalf("%s: salvaged log does not open: %v\n%+v", what, err, report)
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

func TestSalvageKeepsWhatIsIntact(t *testing.T) {
	small := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	for name, o := range map[string]Options{"one segment": {}, "many segments": small} {
		t.Run(name, func(t *testing.T) {
			disk, done, _ := stoppedLog(t, o, true)
			if report, err := Salvage(disk, testLogDir, true); err != nil || len(report.Problems) != 0 || report.Last != record.Index(len(done)) {
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
					dry, err := Salvage(copied, testLogDir, true)
					if err != nil || len(dry.Problems) == 0 {
						t.Fatalf("%s: damage not noticed: %v", what, err)
					}
					report, err := Salvage(copied, testLogDir, false)
					if err != nil || fmt.Sprint(report.Problems) != fmt.Sprint(dry.Problems) {
						t.Fatalf("%s: %v\nrepaired %+v\nverified %+v", what, err, report, dry)
					}
					checkSalvaged(t, what, copied, o, report, done)
					if in, err := Inspect(copied, testLogDir, nil); err != nil || len(in.Damage) != 0 {
						t.Fatalf("%s: inspection finds damage: %+v, %v", what, in, err)
					}
					if again, err := Salvage(copied, testLogDir, true); err != nil || len(again.Problems) != 0 {
						t.Fatalf("%s: still not intact: %+v, %v", what, again, err)
					}
				}
			}
		})
	}
}

func TestSalvageFillsTheHoleOfAMissingSegment(t *testing.T) {
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
		report, err := Salvage(copied, testLogDir, false)
		if err != nil || len(report.Problems) == 0 {
			t.Fatal(report, err)
		}
		checkSalvaged(t, fmt.Sprint("without ", gone), copied, o, report, done)
	}
}

func TestSalvageMovesADamagedCheckpointAside(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, Options{})
	src.append(controlOf("a"))
	if err := src.log.SaveCheckpoint([]byte("state"), 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	file := filesOf(t, disk, stateSuffix)[0]
	rewrite(t, disk, file, func(b []byte) []byte { b[10] ^= 1; return b })
	report, err := Salvage(disk, testLogDir, false)
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Path != file {
		t.Fatal(report, err)
	}
	names, err := disk.ReadDir(path.Join(testLogDir, salvagedName))
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], path.Base(file)) {
		t.Fatal(names, err)
	}
}
