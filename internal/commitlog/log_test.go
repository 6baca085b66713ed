package commitlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

func TestAppendedEntriesComeBackAfterReopening(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		t.Run(policy.String(), func(t *testing.T) {
			disk := vfs.NewMem(1)
			s, src := newTestLog(t, disk, Options{Sync: policy, MinSegmentBytes: 4 << 10, MaxSegmentBytes: 8 << 10})
			for i := range 100 {
				src.append(batchOf(fmt.Sprint("m", i), 1+i%5, 100), controlOf(fmt.Sprint("c", i)))
			}
			samePrefix(t, replayed(t, src.log), src.done)
			if len(src.done) != 200 {
				t.Fatalf("%d entries done", len(src.done))
			}
			before := src.log.Bounds()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, disk, Options{})
			defer s.Close()
			l, _ := openTest(t, s, testID, LogOptions{})
			before.DurableIndex = before.LastIndex
			if got := l.Bounds(); got != before {
				t.Fatalf("bounds %+v, want %+v", got, before)
			}
			samePrefix(t, replayed(t, l), src.done)
		})
	}
}

func TestReaderFindsEveryMessageWithAndWithoutCache(t *testing.T) {
	for _, cache := range []int64{1, 1 << 20} {
		s, src := newTestLog(t, vfs.NewMem(1), Options{CacheBytes: cache, MinSegmentBytes: 4 << 10, MaxSegmentBytes: 64 << 10})
		for i := range 200 {
			src.append(controlOf("x"), batchOf(fmt.Sprint("m", i), 1+i%7, 50))
		}
		end := src.log.Bounds().Next
		r := src.log.NewReader()
		check := func(o record.Offset) {
			t.Helper()
			b, time, err := r.Batch(o, end)
			if err != nil {
				t.Fatal(err)
			}
			if b.BaseOffset() > o || b.LastOffset() < o || time == 0 {
				t.Fatalf("offset %d: got %d to %d of %d", o, b.BaseOffset(), b.LastOffset(), time)
			}
		}
		for o := range end {
			check(o)
		}
		for o := end - 1; o >= 0; o -= 3 {
			check(o)
		}
		for _, o := range []record.Offset{-1, end, end + 5} {
			if _, _, err := r.Batch(o, end); !errors.Is(err, ErrOffsetOutOfRange) {
				t.Fatalf("offset %d: %v", o, err)
			}
		}
		s.Close()
	}
}

func TestStoreIsLockedAndRefusesNewerFormat(t *testing.T) {
	disk := vfs.NewMem(1)
	s := openStore(t, disk, Options{})
	_, err := OpenStore(Options{FS: disk, Dir: "data", Logger: quiet()})
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), "data directory data is in use by another weir") {
		t.Fatal(err)
	}
	s.Close()
	if err := vfs.ReplaceFile(disk, "data/FORMAT", [][]byte{[]byte(formatPrefix + "7\n")}); err != nil {
		t.Fatal(err)
	}
	_, err = OpenStore(Options{FS: disk, Dir: "data", Logger: quiet()})
	if err == nil || !strings.Contains(err.Error(), "format 7") || !strings.Contains(err.Error(), "format 1") {
		t.Fatal(err)
	}
}

func TestCreateListDelete(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, Options{})
	src.append(batchOf("m", 3, 10))
	other := LogID{Topic: 1, Partition: 65535}
	if err := s.Create(other); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(other); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if ids, err := s.List(); err != nil || fmt.Sprint(ids) != fmt.Sprint([]LogID{other, testID}) {
		t.Fatal(ids, err)
	}
	if err := s.Delete(testID); !errors.Is(err, ErrExists) {
		t.Fatal("an open log must not be deleted:", err)
	}
	if err := src.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(testID); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(testID); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := s.Open(testID, src, LogOptions{}); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	s.Close()
	if names, _ := disk.ReadDir("data/trash"); len(names) != 0 {
		t.Fatal("trash not emptied:", names)
	}
}

func TestTrimKeepsWhatCheckpointsNeed(t *testing.T) {
	disk := vfs.NewMem(1)
	o := Options{MinSegmentBytes: 1 << 10, MaxSegmentBytes: 1 << 10}
	s, src := newTestLog(t, disk, o)
	for i := range 60 {
		src.append(batchOf(fmt.Sprint("m", i), 2, 50))
	}
	l := src.log
	if err := l.Trim(120); err != nil || l.Bounds().Start != 0 {
		t.Fatal("trimmed without a checkpoint", err)
	}
	if err := l.SaveCheckpoint([]byte("thirty"), 30); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveCheckpoint([]byte("fifty"), 50); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(120); err != nil {
		t.Fatal(err)
	}
	b := l.Bounds()
	if b.FirstIndex > 31 || b.FirstIndex < 15 || b.Start != record.Offset(2*(b.FirstIndex-1)) {
		t.Fatalf("%+v", b)
	}
	if err := l.SaveCheckpoint([]byte("sixty"), 60); err != nil {
		t.Fatal(err)
	}
	if err := l.Roll(); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveCheckpoint([]byte("sixty"), 60); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(120); err != nil {
		t.Fatal(err)
	}
	if b := l.Bounds(); b.FirstIndex < 45 || b.FirstIndex > 51 {
		t.Fatalf("%+v", b)
	}
	s.Close()
	s = openStore(t, disk, o)
	defer s.Close()
	l, src2 := openTest(t, s, testID, LogOptions{})
	if state, at, err := l.Checkpoint(); string(state) != "sixty" || at != 60 || err != nil {
		t.Fatalf("%q %d %v", state, at, err)
	}
	if b := l.Bounds(); b.LastIndex != 60 || b.Next != 120 || b.LastTime != 60 {
		t.Fatalf("%+v", b)
	}
	src2.append(batchOf("after", 1, 10))
	if _, _, err := l.NewReader().Batch(3, 121); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
	if err := l.Replay(3, func(*record.Entry) error { return nil }); !errors.Is(err, ErrCompacted) {
		t.Fatal(err)
	}
}
