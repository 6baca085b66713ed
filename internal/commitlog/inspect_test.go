package commitlog

import (
	"path"
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
