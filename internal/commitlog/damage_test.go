package commitlog

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// rewrite changes a file in place.
func rewrite(t testing.TB, fsys vfs.FS, name string, change func(b []byte) []byte) {
	t.Helper()
	f, err := fsys.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b, err := readAt(f, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	b = change(b)
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(int64(len(b))), f.Sync()); err != nil {
		t.Fatal(err)
	}
}

// filesOf returns the paths of a log's files with a suffix, in order.
func filesOf(t testing.TB, fsys vfs.FS, suffix string) []string {
	t.Helper()
	dir := path.Join("data", logsName, testID.String())
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range names {
		if strings.HasSuffix(n, suffix) {
			out = append(out, path.Join(dir, n))
		}
	}
	return out
}

// stoppedLog returns a disk with a log that was killed, or closed cleanly, after some rounds; durable is the highest index
// that its frames tell to be durable.
func stoppedLog(t testing.TB, o Options, clean bool) (disk *vfs.Mem, done []record.Entry, durable record.Index) {
	t.Helper()
	disk = vfs.NewMem(1)
	s, src := newTestLog(t, disk, o)
	for i := range 30 {
		src.append(batchOf(fmt.Sprint("m", i), 1+i%3, 60), controlOf(fmt.Sprint("control ", i)))
	}
	durable = record.Index(len(src.done)) - 2
	if clean {
		durable += 2
		s.Close()
		return disk, src.done, durable
	}
	next := disk.Kill()
	s.Close()
	return next, src.done, durable
}

// readAll opens the log and reads everything in it.
func readAll(disk vfs.FS, o Options) ([]record.Entry, error) {
	o.FS, o.Dir, o.Logger = disk, "data", quiet()
	s, err := OpenStore(o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	src, err := openSource(s, testID, LogOptions{})
	if err != nil {
		return nil, err
	}
	var out []record.Entry
	b := src.log.Bounds()
	err = src.log.Replay(b.FirstIndex-1, func(e *record.Entry) error { out = append(out, *e); return nil })
	if err != nil {
		return nil, err
	}
	r := src.log.NewReader()
	defer r.Release()
	for o := b.Start; o < b.Next; o++ {
		if _, _, err := r.Batch(o, b.Next); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkDamaged demands that damage is reported with its file, or that only what was not durable is cut.
func checkDamaged(t *testing.T, what, file string, got []record.Entry, err error, done []record.Entry, durable record.Index) {
	t.Helper()
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		if damage.Path != file || !strings.Contains(err.Error(), "weir log repair data/logs/"+testID.String()) {
			t.Fatalf("%s: %v", what, err)
		}
	case err != nil:
		t.Fatalf("%s: %v", what, err)
	case len(got) < int(durable):
		t.Fatalf("%s: silently lost entries %d to %d", what, len(got), durable)
	default:
		samePrefix(t, done, got)
	}
}

func TestDamageIsReportedOrAboveWhatWasDurable(t *testing.T) {
	small := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	for name, o := range map[string]Options{"one segment": {}, "many segments": small} {
		for _, clean := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, clean %v", name, clean), func(t *testing.T) {
				disk, done, durable := stoppedLog(t, o, clean)
				if _, err := readAll(disk.Kill(), o); err != nil {
					t.Fatal(err)
				}
				disk = disk.Kill()
				for _, file := range filesOf(t, disk, segmentSuffix) {
					info, _ := disk.Stat(file)
					step := max(1, int(info.Size)/150)
					for at := 0; at < int(info.Size); at += step {
						copied := disk.Kill()
						disk = disk.Kill()
						rewrite(t, copied, file, func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
						got, err := readAll(copied, o)
						checkDamaged(t, fmt.Sprintf("byte %d of %s", at, file), file, got, err, done, durable)
					}
				}
			})
		}
	}
}

func TestACutSegmentIsReported(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	disk, done, durable := stoppedLog(t, o, false)
	files := filesOf(t, disk, segmentSuffix)
	for i, file := range files {
		if i == len(files)-1 { // what the lost bytes told is lost, too
			base, _ := parseNumbered(path.Base(file), segmentSuffix)
			durable = record.Index(base) - 1
		}
		for _, keep := range []int{0, 30, 64, 100, 300} {
			copied := disk.Kill()
			disk = disk.Kill()
			rewrite(t, copied, file, func(b []byte) []byte { return b[:min(keep, len(b))] })
			got, err := readAll(copied, o)
			checkDamaged(t, fmt.Sprintf("%s cut to %d", file, keep), file, got, err, done, durable)
			if i < len(files)-1 && err == nil {
				t.Fatalf("%s cut to %d goes unnoticed", file, keep)
			}
		}
	}
}

func TestAMissingSegmentIsReported(t *testing.T) {
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	for _, clean := range []bool{false, true} {
		disk, _, _ := stoppedLog(t, o, clean)
		files := filesOf(t, disk, segmentSuffix)
		if len(files) < 4 {
			t.Fatal(files)
		}
		for _, file := range files[:len(files)-1] {
			copied := disk.Kill()
			disk = disk.Kill()
			if err := copied.Remove(file); err != nil {
				t.Fatal(err)
			}
			_, err := readAll(copied, o)
			var damage *DamageError
			if !errors.As(err, &damage) || damage.Path != file || !strings.Contains(damage.Reason, "missing") {
				t.Fatalf("without %s: %v", file, err)
			}
		}
	}
}

func TestALogThatEndsBeforeItsCheckpointIsDamaged(t *testing.T) {
	for _, clean := range []bool{false, true} {
		disk := vfs.NewMem(1)
		s, src := newTestLog(t, disk, Options{})
		for i := range 10 {
			src.append(controlOf(fmt.Sprint(i)))
		}
		if err := src.log.SaveCheckpoint([]byte("s"), 10); err != nil {
			t.Fatal(err)
		}
		if clean {
			s.Close()
		}
		disk = disk.Kill()
		s.Close()
		rewrite(t, disk, filesOf(t, disk, segmentSuffix)[0], func(b []byte) []byte { return b[:segmentHeaderSize+5*64] })
		_, err := readAll(disk, Options{})
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Fatalf("clean %v: %v", clean, err)
		}
	}
}

func TestAnIdleLogRecordsWhatIsDurable(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncEvery(10 * time.Millisecond)} {
		disk := vfs.NewMem(1)
		s, src := newTestLog(t, disk, Options{Sync: policy})
		src.append(batchOf("m", 3, 100))
		file := ""
		eventually(t, "the mark", func() bool {
			files := filesOf(t, disk, segmentSuffix)
			if len(files) == 0 {
				return false
			}
			file = files[0]
			b, err := vfs.ReadFile(disk, file, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			h, err := parseSegmentHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			m, err := parseFrameHeader(b[max(0, len(b)-frameHeaderSize):], saltSeed(h.salt))
			return err == nil && m.kind == kindMark && m.durable == 1
		})
		disk = disk.Kill()
		s.Close()
		// Now the last entry is known to be durable: it cannot be lost silently any more.
		rewrite(t, disk, file, func(b []byte) []byte { b[150] ^= 1; return b })
		var damage *DamageError
		if _, err := readAll(disk, Options{}); !errors.As(err, &damage) || damage.Pos != segmentHeaderSize {
			t.Fatal(err)
		}
	}
}

func TestADamagedCheckpointIsSkipped(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, Options{})
	for i := range 9 {
		src.append(controlOf(fmt.Sprint(i)))
		if i%3 == 2 {
			if err := src.log.SaveCheckpoint(fmt.Append(nil, i), record.Index(i+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Close()
	states := filesOf(t, disk, stateSuffix)
	if len(states) != 2 {
		t.Fatal(states)
	}
	for _, want := range []record.Index{6, 0} {
		rewrite(t, disk, states[len(states)-1], func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		states = states[:len(states)-1]
		s := openStore(t, disk, Options{})
		l, _ := openTest(t, s, testID, LogOptions{})
		if _, at, err := l.Checkpoint(); err != nil || at != want {
			t.Fatalf("checkpoint at %d, want %d: %v", at, want, err)
		}
		s.Close()
	}
}

func TestIndexFilesAreRebuilt(t *testing.T) {
	disk := vfs.NewMem(1)
	o := Options{MinSegmentBytes: 512 << 10, MaxSegmentBytes: 512 << 10, CacheBytes: 1}
	s, src := newTestLog(t, disk, o)
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("m", i), 10, 3000))
	}
	s.Close()
	files := filesOf(t, disk, indexSuffix)
	if len(files) < 3 {
		t.Fatal("no index files:", files)
	}
	if err := disk.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	rewrite(t, disk, files[1], func(b []byte) []byte { b[70] ^= 1; return b })
	rewrite(t, disk, files[2], func(b []byte) []byte { return b[:10] })
	got, err := readAll(disk, o)
	if err != nil {
		t.Fatal(err)
	}
	samePrefix(t, got, src.done)
	if again := filesOf(t, disk, indexSuffix); !slices.Equal(again, files) {
		t.Fatal(again)
	}
}
