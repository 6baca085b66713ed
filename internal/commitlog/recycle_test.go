package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// waitForJanitor waits for all that was left to the background, and for what that left to it.
func waitForJanitor(s *Store) {
	for range 3 {
		done := make(chan struct{})
		s.janitor.later(func() { close(done) })
		<-done
	}
}

// recycling is how the tests have small segments written over each other.
var recycling = Options{MinSegmentBytes: 4 << 10, MaxSegmentBytes: 4 << 10, RecycleBytes: 16 << 10}

// consume checkpoints and trims all but the last segment, and waits for its files to be kept.
func consume(t testing.TB, src *testSource) {
	t.Helper()
	end := src.log.Bounds()
	for range 2 {
		if err := src.log.SaveCheckpoint([]byte("state"), end.LastIndex); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.log.Trim(end.Next); err != nil {
		t.Fatal(err)
	}
	waitForJanitor(src.log.store)
}

func recycledSegments(l *Log) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.mu.segments {
		if s.recycled {
			n++
		}
	}
	return n
}

func TestSegmentsAreWrittenOverDeletedOnes(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		disk := vfs.NewMem(1)
		o := recycling
		o.Sync = policy
		s, src := newTestLog(t, disk, o)
		for i := range 60 {
			src.append(batchOf(fmt.Sprint("first life ", i), 3, 150))
		}
		consume(t, src)
		var want []record.Entry
		for i := range 40 {
			src.append(batchOf(fmt.Sprint("second life ", i), 1+i%3, 170), controlOf("c"))
		}
		if recycledSegments(src.log) == 0 {
			t.Fatal("no segment is recycled")
		}
		want = src.done
		for _, life := range []string{"kill", "clean stop"} {
			if life == "kill" {
				disk = disk.Kill()
			} else if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, disk, o)
			_, src = openTest(t, s, testID, LogOptions{})
			got := replayed(t, src.log)
			if last := got[len(got)-1].Index; last != want[len(want)-1].Index {
				t.Fatalf("%v, %s: the log ends with entry %d, want %d", policy, life, last, want[len(want)-1].Index)
			}
			samePrefix(t, got, want[len(want)-len(got):])
			if in := inspect(t, disk); len(in.Damage) > 0 {
				t.Fatalf("%v, %s: %v", policy, life, in.Damage)
			}
		}
		s.Close()
	}
}

// A file of a deleted log may hold whole frames behind the tail of the segment that is written over it. They belong to nobody.
func TestAnEarlierLifeIsNeitherServedNorDamage(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, recycling)
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("secret ", i), 3, 150))
	}
	consume(t, src)
	for i := 0; recycledSegments(src.log) == 0; i++ {
		src.append(batchOf(fmt.Sprint("m", i), 1, 100))
	}
	src.append(batchOf("the last", 1, 10))
	last := src.done[len(src.done)-1].Index
	disk = disk.Crash(7)
	s.Close()

	files := filesOf(t, disk, segmentSuffix)
	tail := files[len(files)-1]
	b, err := vfs.ReadFile(disk, tail, 1<<20)
	if err != nil || !bytes.Contains(b, []byte("secret")) {
		t.Fatalf("%s holds nothing of its earlier life: the test shows nothing (%v)", tail, err)
	}
	report, err := Repair(disk, logDirOfTest, true)
	if err != nil || report.Damaged() {
		t.Fatalf("%+v, %v", report, err)
	}
	s = openStore(t, disk, recycling)
	defer s.Close()
	_, src = openTest(t, s, testID, LogOptions{})
	got := replayed(t, src.log)
	if got[len(got)-1].Index != last {
		t.Fatalf("the log ends with entry %d, want %d", got[len(got)-1].Index, last)
	}
	for _, e := range got {
		if e.Index > 60 && bytes.Contains(e.Payload, []byte("secret")) {
			t.Fatalf("entry %d is of the file's earlier life", e.Index)
		}
	}
}

func TestDamageIsSeenInRecycledSegments(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, recycling)
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("old ", i), 3, 150))
	}
	consume(t, src)
	for i := 0; recycledSegments(src.log) < 2; i++ {
		src.append(batchOf(fmt.Sprint("m", i), 1, 100))
	}
	for range 3 {
		src.append(batchOf("more", 1, 100))
	}
	disk = disk.Kill()
	s.Close()
	files := filesOf(t, disk, segmentSuffix)
	for i, at := range []int64{segmentHeaderSize + 3, segmentHeaderSize + frameHeaderSize + 70} { // a header, a payload
		harmed := disk.Clone()
		rewrite(t, harmed, files[len(files)-1], func(b []byte) []byte { b[at] ^= 1; return b })
		s := openStore(t, harmed, recycling)
		if _, err := s.Open(testID, &testSource{}, LogOptions{}); err == nil {
			t.Errorf("damage %d is not seen", i)
		}
		s.Close()
	}
}

func TestKeptFilesAreBoundedAndGivenUp(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, recycling)
	defer s.Close()
	for i := range 200 {
		src.append(batchOf(fmt.Sprint(i), 3, 150))
	}
	consume(t, src)
	kept := func() (files int, size int64) {
		names, err := disk.ReadDir("data/trash")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := disk.Stat(path.Join("data/trash", name))
			if err != nil {
				t.Fatal(err)
			}
			files, size = files+1, size+info.Size
		}
		return files, size
	}
	if n, size := kept(); n == 0 || size > recycling.RecycleBytes {
		t.Fatalf("%d files of %d bytes are kept, want some of up to %d", n, size, recycling.RecycleBytes)
	}
	crashed := disk.Clone().Crash(1)
	for _, f := range s.recycler.mu.files {
		if b, err := vfs.ReadFile(crashed, f.name, 1<<20); err != nil || !isZero(b[:segmentHeaderSize]) {
			t.Errorf("%s still looks like a segment after a power cut (%v)", f.name, err)
		}
	}
	_, size := kept()
	if frees := s.Tight(true); frees != size {
		t.Errorf("%d bytes are kept, and going to be free: %d", size, frees)
	}
	waitForJanitor(s)
	if n, _ := kept(); n > 0 {
		t.Fatalf("%d files are kept on a disk without space", n)
	}
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("tight ", i), 3, 150))
	}
	consume(t, src)
	if n, _ := kept(); n > 0 {
		t.Fatalf("%d files are kept anew on a disk without space", n)
	}
}

// keptFiles fills a log and consumes it, so that files lie ready to be written over.
func keptFiles(t testing.TB, disk vfs.FS, o Options) (*Store, *testSource) {
	t.Helper()
	s, src := newTestLog(t, disk, o)
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("old ", i), 3, 150))
	}
	consume(t, src)
	if len(s.recycler.mu.files) == 0 {
		t.Fatal("no file is kept")
	}
	return s, src
}

// unclean returns the disk of a killed node whose log ends in a recycled segment, and that segment's file.
func unclean(t testing.TB) (*vfs.Mem, string, *testSource) {
	t.Helper()
	disk := vfs.NewMem(1)
	s, src := keptFiles(t, disk, recycling)
	for i := 0; recycledSegments(src.log) < 2; i++ {
		src.append(batchOf(fmt.Sprint("m", i), 1, 100))
	}
	for range 3 {
		src.append(batchOf("more", 1, 100))
	}
	eventually(t, "a mark", func() bool {
		src.log.tailTurn.acquire()
		defer src.log.releaseTail()
		return src.log.mu.tail.recorded == src.log.mu.end.index && !src.log.mu.tail.dirty
	})
	disk = disk.Kill()
	s.Close()
	files := filesOf(t, disk, segmentSuffix)
	return disk, files[len(files)-1], src
}

// recycledLog returns the disk of a node that was closed, or killed, and what its log holds: recycled segments.
func recycledLog(t testing.TB, clean bool) (*vfs.Mem, []record.Entry) {
	t.Helper()
	disk := vfs.NewMem(1)
	s, src := keptFiles(t, disk, recycling)
	for i := 0; recycledSegments(src.log) < 3; i++ {
		src.append(batchOf(fmt.Sprint("m", i), 1+i%3, 60), controlOf(fmt.Sprint("control ", i)))
	}
	for i := range 5 {
		src.append(batchOf(fmt.Sprint("n", i), 1+i%3, 60))
	}
	done := src.done[src.log.Bounds().FirstIndex-1:]
	if !clean {
		disk = disk.Kill()
	}
	s.Close()
	return disk, done
}

func TestAnImportOverRecycledFilesEndsCleanly(t *testing.T) {
	disk := vfs.NewMem(1)
	s, _ := keptFiles(t, disk, recycling)
	defer s.Close()
	id := LogID{Topic: 9}
	im, err := s.Import(id, Origin{})
	if err != nil {
		t.Fatal(err)
	}
	recycled := 0
	for i := range record.Index(30) {
		e := record.Entry{Kind: record.KindControl, Index: i + 1, Term: 1, Time: 1, Payload: make([]byte, 200)}
		if im.tail.seg.recycled {
			recycled++
		}
		if err := im.Append([]record.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	if recycled == 0 {
		t.Fatal("nothing was recycled")
	}
	dir := im.dir
	if err := im.settle(); err != nil {
		t.Fatal(err)
	}
	names, _ := disk.ReadDir(dir)
	for _, name := range names {
		in := &Inspection{ID: id}
		base, _ := parseNumbered(name, segmentSuffix)
		if err := in.segment(disk, path.Join(dir, name), record.Index(base), nil); err != nil {
			t.Fatal(err)
		}
		if s := in.Segments[0]; s.FileBytes != s.IntactBytes {
			t.Errorf("%s has %d bytes, of which the log takes %d", name, s.FileBytes, s.IntactBytes)
		}
	}
}

// A segment left behind by a seal that found the disk full would hide the entries that follow in the old one.
func TestASealThatFailsLeavesNoSegmentBehind(t *testing.T) {
	disk := vfs.NewMem(1)
	fault := vfs.NewFault(disk)
	s, src := keptFiles(t, fault, recycling)
	for i := 0; recycledSegments(src.log) < 1; i++ {
		src.append(batchOf(fmt.Sprint("m", i), 1, 100))
	}
	fault.Add(vfs.Rule{Op: vfs.OpTruncate, Times: 2, Err: vfs.ErrNoSpace}) // also when the files kept for reuse are given up
	if err := src.log.Roll(); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("n", i), 1, 100))
	}
	if err := src.lastErr(); err != nil {
		t.Fatal(err)
	}
	disk = disk.Kill()
	s.Close()
	s = openStore(t, disk, recycling)
	defer s.Close()
	_, again := openTest(t, s, testID, LogOptions{})
	got := replayed(t, again.log)
	samePrefix(t, got, src.done[len(src.done)-len(got):])
	if got[len(got)-1].Index != src.done[len(src.done)-1].Index {
		t.Fatal("the end is missing")
	}
}

func TestInspectOfALogThatIsTrimmedMeanwhileFindsNoDamage(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, recycling)
	defer s.Close()
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("old ", i), 3, 150))
	}
	trimmed := false
	in, err := Inspect(disk, logDirOfTest, func(string, int64, *record.Entry) error {
		if trimmed {
			return nil
		}
		trimmed = true
		consume(t, src)
		for i := 0; recycledSegments(src.log) < 2; i++ {
			src.append(batchOf(fmt.Sprint("m", i), 1, 100))
		}
		return nil
	})
	if err != nil || len(in.Damage) > 0 || len(in.Segments) == 0 {
		t.Fatalf("%+v, %v", in, err)
	}
}

func TestADamagedHeaderOfARecycledSegmentLosesNothing(t *testing.T) {
	disk, tail, src := unclean(t)
	rewrite(t, disk, tail, func(b []byte) []byte { b[30] ^= 1; return b })
	report, err := Repair(disk, logDirOfTest, false)
	if err != nil || !report.Damaged() {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, p := range report.Problems {
		if p.Loses() {
			t.Errorf("%+v", p)
		}
	}
	checkRepaired(t, "header", disk, recycling, report, src.done[len(src.done)-3:])
}

// Its file may be written over already.
func TestALogThatIsDeletedUnderAReaderIsClosedNotDamaged(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, recycling)
	defer s.Close()
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("old ", i), 3, 150))
	}
	l := src.log
	first := true
	err := l.Replay(0, func(*record.Entry) error {
		if !first {
			return nil
		}
		first = false
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(testID); err != nil {
			t.Fatal(err)
		}
		waitForJanitor(s)
		return nil
	})
	if !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestOfASmallDiskLittleIsKept(t *testing.T) {
	disk := vfs.NewMem(1)
	disk.SetCapacity(100 << 10)
	s, src := newTestLog(t, disk, recycling)
	defer s.Close()
	for i := range 60 {
		src.append(batchOf(fmt.Sprint(i), 3, 150))
	}
	consume(t, src)
	if n := s.recycler.mu.bytes; n > 2<<10 {
		t.Fatalf("%d bytes are kept of a disk of 100 KiB", n)
	}
}

// On a full disk, what needs room takes that of the files kept for reuse before it fails.
func TestFilesKeptForReuseMakeRoomOnAFullDisk(t *testing.T) {
	large := batchOf("large", 1, 9<<10)
	for what, write := range map[string]func(src *testSource) error{
		"checkpoint": func(src *testSource) error {
			return src.log.SaveCheckpoint(make([]byte, 6<<10), src.log.Bounds().LastIndex)
		},
		"trim": func(src *testSource) error { return src.log.Trim(src.log.Bounds().Next) },
		"roll": func(src *testSource) error { return src.log.Roll() },
		"append": func(src *testSource) error {
			src.append(large)
			return src.lastErr()
		},
	} {
		t.Run(what, func(t *testing.T) {
			disk := vfs.NewMem(1)
			fault := vfs.NewFault(disk)
			o := recycling
			o.RecycleBytes *= 4
			s, src := keptFiles(t, fault, o)
			defer s.Close()
			for range 30 { // there is something to trim, and the last segment can be cut
				src.append(batchOf("m", 1, 200))
			}
			for range 2 {
				if err := src.log.SaveCheckpoint(nil, src.log.Bounds().LastIndex); err != nil {
					t.Fatal(err)
				}
			}
			if len(s.recycler.mu.files) == 0 {
				t.Fatal("no file is kept")
			}
			usage, err := disk.Usage("data")
			if err != nil {
				t.Fatal(err)
			}
			disk.SetCapacity(usage.Total - usage.Free) // not a byte is free
			if what == "roll" {                        // a new segment is written over a kept file, so it is the cut of the old one that finds no room
				fault.Add(vfs.Rule{Op: vfs.OpTruncate, Times: 1, Err: vfs.ErrNoSpace})
			}
			if err := write(src); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What a failed sync was about may be gone from the page cache, and the next sync succeeds: so a round whose undoing could not be
// synced is not tried again, whatever room there is.
func TestASyncThatFindsNoRoomIsFinal(t *testing.T) {
	fault := vfs.NewFault(vfs.NewMem(1))
	_, src := keptFiles(t, fault, recycling)
	src.append(batchOf("m", 1, 100))
	fault.Add(vfs.Rule{Op: vfs.OpWrite, Times: 1, Err: vfs.ErrNoSpace})
	fault.Add(vfs.Rule{Op: vfs.OpSync, Times: 1, Err: vfs.ErrNoSpace})
	src.append(batchOf("m", 1, 100))
	if err := src.lastErr(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
}

func TestAStoppedStoreTakesNoMoreThanItsData(t *testing.T) {
	disk := vfs.NewMem(1)
	s, _ := keptFiles(t, disk, recycling)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := disk.ReadDir("data/trash"); err != nil || len(names) > 0 {
		t.Fatalf("left in the trash: %v, %v", names, err)
	}
}

// Nothing tells the rest of a write that was torn from what the file held before. So the log says that it was cut, and how much at most.
func TestWhatIsCutOfARecycledFileIsSaid(t *testing.T) {
	disk, tail, src := unclean(t)
	info, err := disk.Stat(tail)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(src.done[len(src.done)-1].Index)

	said := recoveryLog(t, disk.Clone())
	var pos, cut int64
	if m := regexp.MustCompile(`level=INFO msg="cutting a recycled .* pos=(\d+) bytes_at_most=(\d+)`).FindStringSubmatch(said); m != nil {
		pos, _ = strconv.ParseInt(m[1], 10, 64)
		cut, _ = strconv.ParseInt(m[2], 10, 64)
	}
	if pos <= segmentHeaderSize || cut <= 0 || pos+cut != info.Size || !strings.Contains(said, fmt.Sprint("last_index=", last)) {
		t.Errorf("of a file of %d bytes, with entry %d at its end, the log says: %s", info.Size, last, said)
	}

	torn := disk.Clone() // before its first sync, and its header did not reach the disk
	fresh := strings.TrimSuffix(tail, segmentSuffix) + freshSuffix
	if err := torn.Rename(tail, fresh); err != nil {
		t.Fatal(err)
	}
	rewrite(t, torn, fresh, func(b []byte) []byte { b[30] ^= 1; return b })
	said = recoveryLog(t, torn)
	for _, want := range []string{`level=WARN msg="cutting a segment`, path.Base(fresh), fmt.Sprint("bytes_at_most=", info.Size), "checksum"} {
		if !strings.Contains(said, want) {
			t.Errorf("of a fresh segment without a header the log does not say %q: %s", want, said)
		}
	}
}

// recoveryLog returns what the store says while it opens the log.
func recoveryLog(t testing.TB, disk *vfs.Mem) string {
	t.Helper()
	var said bytes.Buffer
	o := recycling
	o.FS, o.Dir, o.Logger = disk, "data", slog.New(slog.NewTextHandler(&said, nil))
	s, err := OpenStore(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openSource(s, testID, LogOptions{})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return said.String()
}
