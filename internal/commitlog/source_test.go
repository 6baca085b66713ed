package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// testSource is a Source that numbers what put hands it, and remembers what was reported done.
type testSource struct {
	log *Log

	mu       sync.Mutex
	cond     *sync.Cond
	at       logEnd // behind the last entry collected or waiting
	waiting  []record.Entry
	taken    []record.Entry
	done     []record.Entry // reported with nil
	all      []record.Entry // put, as numbered first
	answered int
	errs     []error
}

// openTest opens a log with a fresh source behind it.
func openTest(t testing.TB, s *Store, id LogID, o LogOptions) (*Log, *testSource) {
	t.Helper()
	src, err := openSource(s, id, o)
	if err != nil {
		t.Fatal(err)
	}
	return src.log, src
}

func openSource(s *Store, id LogID, o LogOptions) (*testSource, error) {
	src := &testSource{}
	src.cond = sync.NewCond(&src.mu)
	l, err := s.Open(id, src, o)
	if err != nil {
		return nil, err
	}
	src.log = l
	b := l.Bounds()
	src.at = logEnd{b.LastIndex, b.Next, max(1, b.LastTerm), b.LastTime}
	return src, nil
}

func (s *testSource) Collect(limit int) []record.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(s.waiting) && (n == 0 || size+len(s.waiting[n].Payload) <= limit) {
		size += len(s.waiting[n].Payload)
		n++
	}
	s.taken = append(s.taken[:0], s.waiting[:n]...)
	s.waiting = s.waiting[n:]
	return s.taken
}

func (s *testSource) Done(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.done = append(s.done, s.taken...)
	} else {
		s.errs = append(s.errs, err)
	}
	s.answered += len(s.taken)
	if errors.Is(err, ErrFull) { // all that waits has to be numbered again
		b := s.log.Bounds()
		s.at = logEnd{b.LastIndex, b.Next, s.at.term, b.LastTime}
		for i := range s.waiting {
			s.number(&s.waiting[i])
		}
	}
	s.taken = s.taken[:0]
	s.cond.Broadcast()
}

func (s *testSource) number(e *record.Entry) {
	e.Index, e.Base, e.Term, e.Time = s.at.index+1, s.at.next, s.at.term, s.at.time+1
	if e.Kind == record.KindBatch {
		record.Batch(e.Payload).Stamp(e.Base, int32(e.Term))
	}
	s.at = s.at.after(e)
}

// put numbers entries, hands them over, and returns how many answers there must be until they are answered.
func (s *testSource) put(entries ...record.Entry) int {
	s.mu.Lock()
	for _, e := range entries {
		s.number(&e)
		s.waiting = append(s.waiting, e)
		s.all = append(s.all, e)
	}
	n := s.answered + len(s.taken) + len(s.waiting)
	s.mu.Unlock()
	s.log.Commit()
	return n
}

// wait blocks until so many entries are answered.
func (s *testSource) wait(answers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.answered < answers {
		s.cond.Wait()
	}
}

// append puts entries and waits for the answer.
func (s *testSource) append(entries ...record.Entry) { s.wait(s.put(entries...)) }

func (s *testSource) lastErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) == 0 {
		return nil
	}
	return s.errs[len(s.errs)-1]
}

// batchOf returns an entry with a batch of n messages, each of about size bytes and beginning with its name.
func batchOf(name string, n, size int) record.Entry {
	var b record.Builder
	for i := range n {
		body := fmt.Appendf(nil, "%s/%d ", name, i)
		b.Append(append(body, bytes.Repeat([]byte{'.'}, max(0, size-len(body)))...), 0)
	}
	return record.Entry{Kind: record.KindBatch, Payload: b.Finish(1)}
}

func controlOf(text string) record.Entry {
	return record.Entry{Kind: record.KindControl, Payload: []byte(text)}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openStore(t testing.TB, fsys vfs.FS, o Options) *Store {
	t.Helper()
	o.FS, o.Logger = fsys, quiet()
	if o.Dir == "" {
		o.Dir = "data"
	}
	s, err := OpenStore(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newTestLog is a store with one open log.
func newTestLog(t testing.TB, fsys vfs.FS, o Options) (*Store, *testSource) {
	t.Helper()
	s := openStore(t, fsys, o)
	if err := s.Create(testID); err != nil {
		t.Fatal(err)
	}
	_, src := openTest(t, s, testID, LogOptions{})
	return s, src
}

var testID = LogID{Topic: 0xfeed, Partition: 3}

// replayed returns all entries of a log.
func replayed(t testing.TB, l *Log) []record.Entry {
	t.Helper()
	var out []record.Entry
	b := l.Bounds()
	if err := l.Replay(b.FirstIndex-1, func(e *record.Entry) error { out = append(out, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// samePrefix fails unless got begins with want, byte for byte.
func samePrefix(t testing.TB, got, want []record.Entry) {
	t.Helper()
	if len(got) < len(want) {
		t.Fatalf("%d entries came back, %d were reported done", len(got), len(want))
	}
	for i := range want {
		if g, w := got[i], want[i]; g.Index != w.Index || g.Base != w.Base || g.Kind != w.Kind || g.Term != w.Term ||
			g.Time != w.Time || g.Flags != w.Flags || !bytes.Equal(g.Payload, w.Payload) {
			t.Fatalf("entry %d is %+v, want %+v", i, g, w)
		}
	}
}

// eventually waits for what happens in the background.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for range 500 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("still not: %s", what)
}
