package commitlog

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

var errBadDisk = errors.New("input/output error")

func TestAFailedSyncIsFinal(t *testing.T) {
	disk := vfs.NewMem(1)
	fault := vfs.NewFault(disk)
	s, src := newTestLog(t, fault, Options{})
	src.append(batchOf("before", 2, 10))
	fault.Add(vfs.Rule{Op: vfs.OpSync, Times: 1, Err: errBadDisk})
	src.append(batchOf("during", 2, 10))
	for range 3 {
		if err := src.lastErr(); !errors.Is(err, ErrFailed) || !errors.Is(err, errBadDisk) {
			t.Fatal(err)
		}
		src.append(batchOf("after", 2, 10)) // the disk is well again, the log is not
	}
	if len(src.done) != 1 {
		t.Fatal("entries reported done after a failed sync")
	}
	if err := src.log.Roll(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if err := src.log.SaveCheckpoint(nil, 1); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	if _, _, err := src.log.NewReader().Batch(1, 2); err != nil {
		t.Fatal("what was done can still be read:", err)
	}
	if err := s.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	s = openStore(t, disk, Options{})
	defer s.Close()
	l, again := openTest(t, s, testID, LogOptions{})
	samePrefix(t, replayed(t, l), src.done)
	again.append(batchOf("new", 1, 10))
	if err := again.lastErr(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedSyncOfTheWholeDiskFailsAllLogsOfTheRound(t *testing.T) {
	fault := vfs.NewFault(vfs.NewMem(1))
	s := openStore(t, fault, Options{})
	defer s.Close()
	var sources []*testSource
	for i := range uint64(parallelSyncs + 4) {
		if err := s.Create(LogID{Topic: i}); err != nil {
			t.Fatal(err)
		}
		_, src := openTest(t, s, LogID{Topic: i}, LogOptions{})
		sources = append(sources, src)
		src.append(controlOf("first"))
	}
	fault.Add(vfs.Rule{Op: vfs.OpSync, Err: errBadDisk})
	fault.Add(vfs.Rule{Op: vfs.OpSyncAll, Err: errBadDisk})
	waits := make([]int, len(sources))
	for i, src := range sources {
		waits[i] = src.put(controlOf("second"))
	}
	for i, src := range sources {
		src.wait(waits[i])
		if err := src.lastErr(); !errors.Is(err, ErrFailed) {
			t.Fatalf("log %d: %v", i, err)
		}
	}
}

func TestAFailedSyncInTheBackgroundReachesTheSource(t *testing.T) {
	fault := vfs.NewFault(vfs.NewMem(1))
	s, src := newTestLog(t, fault, Options{Sync: SyncEvery(20e6)})
	defer s.Close()
	fault.Add(vfs.Rule{Op: vfs.OpSync, Times: 1, Err: errBadDisk})
	src.append(controlOf("written"))
	if err := src.lastErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "told of the failure", func() bool { return errors.Is(src.lastErr(), ErrFailed) })
}

func TestAFailedWriteIsFinal(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		fault := vfs.NewFault(vfs.NewMem(1))
		s, src := newTestLog(t, fault, Options{Sync: policy})
		src.append(controlOf("before"))
		fault.Add(vfs.Rule{Op: vfs.OpWrite, Times: 1, Err: errBadDisk, Part: 30})
		src.append(controlOf("during"))
		src.append(controlOf("after"))
		if len(src.errs) != 2 || !errors.Is(src.errs[0], ErrFailed) || !errors.Is(src.errs[1], ErrFailed) {
			t.Fatal(src.errs)
		}
		s.Close()
	}
}

func TestAFullDiskRefusesARoundAndGoesOn(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		t.Run(policy.String(), func(t *testing.T) {
			disk := vfs.NewMem(1)
			fault := vfs.NewFault(disk)
			o := Options{Sync: policy, MinSegmentBytes: 4 << 10, MaxSegmentBytes: 4 << 10}
			s, src := newTestLog(t, fault, o)
			for i := range 40 {
				if i%4 == 1 { // a part of several frames is written
					fault.Add(vfs.Rule{Op: vfs.OpWrite, Times: 1, Err: vfs.ErrNoSpace, Part: 150 + 100*i})
				}
				src.append(batchOf(fmt.Sprint("a", i), 1, 100), batchOf(fmt.Sprint("b", i), 2, 100), controlOf("c"))
				fault.Clear()
			}
			if n := len(src.done); len(src.errs) == 0 || !errors.Is(src.errs[0], ErrFull) || n < 90 || n == 120 {
				t.Fatalf("%d entries done, errors %v", n, src.errs)
			}
			// A refused round whose second frame fits exactly behind what is appended next must not come back to life.
			refused := []record.Entry{batchOf("x", 1, 100), batchOf("y", 1, 100)}
			if err := src.log.Roll(); err != nil {
				t.Fatal(err)
			}
			fault.Add(vfs.Rule{Op: vfs.OpWrite, Times: 1, Err: vfs.ErrNoSpace, Part: 1000})
			src.append(refused...)
			fault.Clear()
			src.append(refused[0])
			if policy == SyncAlways {
				disk = disk.Crash(3)
			} else {
				disk = disk.Kill()
			}
			s.Close()
			s = openStore(t, disk, o)
			defer s.Close()
			l, _ := openTest(t, s, testID, LogOptions{})
			got := replayed(t, l)
			samePrefix(t, got, src.done)
			if len(got) != len(src.done) {
				t.Fatalf("%d entries came back, %d were done: refused ones are back", len(got), len(src.done))
			}
		})
	}
}

func TestALogGoesOnWithoutDescriptors(t *testing.T) {
	for _, policy := range []SyncPolicy{SyncAlways, SyncOS} {
		t.Run(policy.String(), func(t *testing.T) {
			fault := vfs.NewFault(vfs.NewMem(1))
			s, src := newTestLog(t, fault, Options{Sync: policy, MinSegmentBytes: 4 << 10, MaxSegmentBytes: 16 << 10})
			defer s.Close()
			none := vfs.Rule{Op: vfs.OpCreate, Err: vfs.ErrTooManyFiles}
			fault.Add(none)
			src.append(batchOf("first", 1, 100))
			if err := src.lastErr(); !errors.Is(err, ErrFull) {
				t.Fatalf("without a file to write to: %v, want ErrFull", err)
			}
			fault.Clear()
			src.append(batchOf("again", 1, 100))
			fault.Add(none)
			for i := range 60 {
				src.append(batchOf(fmt.Sprint("a", i), 1, 100))
			}
			if n := len(src.log.Segments()); n != 1 || len(src.done) != 61 {
				t.Fatalf("%d segments, %d entries done, want 1 and 61; errors %v", n, len(src.done), src.errs)
			}
			if err := src.log.Roll(); !errors.Is(err, ErrFull) {
				t.Fatalf("roll: %v, want ErrFull", err)
			}
			fault.Clear()
			src.append(batchOf("last", 1, 100))
			if n := len(src.log.Segments()); n != 2 || len(src.done) != 62 {
				t.Fatalf("with descriptors again %d segments, %d entries done; errors %v", n, len(src.done), src.errs)
			}
			samePrefix(t, replayed(t, src.log), src.done)
		})
	}
}

func TestADiskThatFillsUpAndEmptiesAgain(t *testing.T) {
	disk := vfs.NewMem(1)
	s, src := newTestLog(t, disk, Options{MinSegmentBytes: 32 << 10, MaxSegmentBytes: 32 << 10})
	defer s.Close()
	disk.SetCapacity(200 << 10)
	for len(src.errs) == 0 && len(src.done) < 1000 {
		src.append(batchOf("m", 10, 500))
	}
	if !errors.Is(src.lastErr(), ErrFull) || len(src.done) < 20 {
		t.Fatal(len(src.done), src.lastErr())
	}
	b := src.log.Bounds()
	if b.LastIndex != record.Index(len(src.done)) {
		t.Fatalf("%+v", b)
	}
	disk.SetCapacity(400 << 10)
	src.append(batchOf("m", 10, 500))
	if len(src.errs) != 1 {
		t.Fatal(src.errs)
	}
	samePrefix(t, replayed(t, src.log), src.done)
}
