package commitlog

import (
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// leaveAlone appends to a log until its publisher runs the rounds.
func leaveAlone(t *testing.T, src *testSource) {
	t.Helper()
	for range 100 * loneRounds {
		if src.append(batchOf("lone", 1, 10)); src.log.store.rounds.lone(src.log) {
			return
		}
	}
	t.Fatal("the only publisher is never alone")
}

func TestAPublisherThatIsAloneRunsItsRounds(t *testing.T) {
	s, src := newTestLog(t, vfs.NewMem(1), Options{})
	defer s.Close()
	leaveAlone(t, src)
	for range 3 {
		answers := src.put(batchOf("in place", 1, 10))
		src.mu.Lock()
		answered := src.answered
		src.mu.Unlock()
		if b := src.log.Bounds(); answered != answers || b.DurableIndex != b.LastIndex {
			t.Fatalf("%d of %d answered when Commit returned, %+v", answered, answers, b)
		}
	}
	if err := s.Create(LogID{Topic: 99}); err != nil {
		t.Fatal(err)
	}
	_, other := openTest(t, s, LogID{Topic: 99}, LogOptions{})
	other.append(batchOf("other", 1, 10))
	if s.rounds.lone(src.log) {
		t.Fatal("alone beside another log's publisher")
	}
	src.append(batchOf("beside", 1, 10))
	if err := src.lastErr(); err != nil {
		t.Fatal(err)
	}
}

// A round may leave something over, for want of room in its segment: the publisher takes it, too.
func TestALonePublisherLeavesNothingOver(t *testing.T) {
	_, src := newTestLog(t, vfs.NewMem(1), Options{RoundBytes: 1})
	leaveAlone(t, src)
	answers := src.put(batchOf("first", 1, 10), batchOf("second", 1, 10))
	src.mu.Lock()
	defer src.mu.Unlock()
	if src.answered != answers {
		t.Fatalf("%d of %d answered when Commit returned", src.answered, answers)
	}
}

func TestAPublisherOfMuchIsNotAlone(t *testing.T) {
	for name, entries := range map[string][]record.Entry{
		"a large batch": {batchOf("large", 10, loneBytes/5)},
		"two batches":   {batchOf("first", 1, 10), batchOf("second", 1, 10)},
		"progress":      {controlOf("progress")},
	} {
		t.Run(name, func(t *testing.T) {
			s, src := newTestLog(t, vfs.NewMem(1), Options{})
			leaveAlone(t, src)
			src.append(entries...)
			if s.rounds.lone(src.log) {
				t.Error("alone still")
			}
			src.append(batchOf("next", 1, 10))
		})
	}
}

func TestAFailedSyncOfALonePublisherIsFinal(t *testing.T) {
	fault := vfs.NewFault(vfs.NewMem(1))
	s, src := newTestLog(t, fault, Options{})
	leaveAlone(t, src)
	done := len(src.done)
	fault.Add(vfs.Rule{Op: vfs.OpSync, Times: 1, Err: errBadDisk})
	for range 2 {
		src.append(batchOf("lost", 1, 10))
		if err := src.lastErr(); !errors.Is(err, ErrFailed) || !errors.Is(err, errBadDisk) {
			t.Fatal(err)
		}
	}
	if len(src.done) != done {
		t.Fatal("an entry was reported done after a failed sync")
	}
	if err := s.Close(); !errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
}
