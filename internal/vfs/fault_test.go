package vfs

import (
	"errors"
	"sync"
	"testing"
)

var errInjected = errors.New("injected")

func TestRuleFailsTheNthMatchingCallOnly(t *testing.T) {
	f := NewFault(NewMem(1))
	f.Add(Rule{Op: OpSync, Match: "*.log", Nth: 2, Times: 1, Err: errInjected})
	log, other := put(t, f, "/a.log", "x"), put(t, f, "/a.idx", "x")
	ok(t, log.Sync())
	ok(t, other.Sync())
	ok(t, other.Sync())
	isErr(t, log.Sync(), errInjected)
	ok(t, log.Sync())
	if f.Hits() != 1 {
		t.Fatalf("%d hits", f.Hits())
	}
}

func TestFailedSyncMakesNothingDurable(t *testing.T) {
	m := NewMem(1)
	f := NewFault(m)
	file := put(t, f, "/a", "hello")
	ok(t, f.SyncDir("/"))
	f.Add(Rule{Op: OpSync, Err: errInjected})
	isErr(t, file.Sync(), errInjected)
	isErr(t, file.Sync(), errInjected)
	seen := outcomes(m, func(after *Mem) string { return string(contents(t, after, "/a")) })
	if seen["hello"] == seeds || seen[""] == 0 {
		t.Fatalf("outcomes %v", seen)
	}
}

func TestRuleLetsPartOfAWriteThrough(t *testing.T) {
	f := NewFault(NewMem(1))
	file := must(f.Create("/a"))(t)
	f.Add(Rule{Op: OpWrite, Times: 1, Err: ErrNoSpace, Part: 5})
	n, err := file.WriteVec([][]byte{[]byte("abc"), []byte("def")}, 0)
	isErr(t, err, ErrNoSpace)
	if got := string(contents(t, f, "/a")); n != 5 || got != "abcde" {
		t.Fatalf("wrote %d, file holds %q", n, got)
	}
	writeAt(t, file, "xyz", 0)
}

func TestEveryOperationCanBeMadeToFail(t *testing.T) {
	f := NewFault(NewMem(1))
	file := put(t, f, "/d/a", "x")
	calls := map[Op]func() error{
		OpCreate:    func() error { _, err := f.Create("/d/new"); return err },
		OpOpen:      func() error { _, err := f.OpenWrite("/d/a"); return err },
		OpRead:      func() error { _, err := file.ReadAt(make([]byte, 1), 0); return err },
		OpWrite:     func() error { _, err := file.WriteAt([]byte("x"), 0); return err },
		OpSync:      file.Sync,
		OpTruncate:  func() error { return file.Truncate(0) },
		OpRename:    func() error { return f.Rename("/d/a", "/d/b") },
		OpRemove:    func() error { return f.Remove("/d/a") },
		OpRemoveAll: func() error { return f.RemoveAll("/d") },
		OpMkdirAll:  func() error { return f.MkdirAll("/e") },
		OpReadDir:   func() error { _, err := f.ReadDir("/d"); return err },
		OpSyncDir:   func() error { return f.SyncDir("/d") },
		OpSyncAll:   func() error { return f.SyncAll("/d") },
		OpLock:      func() error { _, err := f.Lock("/d/lock"); return err },
		OpStat:      func() error { _, err := file.Size(); return err },
		OpUsage:     func() error { _, err := f.Usage("/d"); return err },
		OpDropCache: file.DropCache,
	}
	for op, call := range calls {
		for _, rule := range []Rule{{Op: op, Err: errInjected}, {Op: OpAny, Err: errInjected}} {
			f.Clear()
			f.Add(rule)
			if err := call(); !errors.Is(err, errInjected) {
				t.Errorf("%s: got %v", op, err)
			}
		}
	}
	f.Clear()
	if got := string(contents(t, f, "/d/a")); got != "x" {
		t.Fatalf("a failed call went through: %q", got)
	}
}

func TestRulesCountCallsOfAllGoroutines(t *testing.T) {
	f := NewFault(NewMem(1))
	file := put(t, f, "/a", "x")
	f.Add(Rule{Op: OpSync, Nth: 50, Times: 10, Err: errInjected})
	var failed sync.Map
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if file.Sync() != nil {
				failed.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	failed.Range(func(any, any) bool { n++; return true })
	if n != 10 || f.Hits() != 10 {
		t.Fatalf("%d calls failed, %d hits", n, f.Hits())
	}
}

func TestTheFirstFailedCallIsRemembered(t *testing.T) {
	f := NewFault(NewMem(1))
	file := put(t, f, "/a", "x")
	if f.First() != (Call{}) {
		t.Fatal(f.First())
	}
	before := f.Calls(OpAny)
	f.Add(Rule{Nth: 2, Err: errInjected})
	ok(t, file.Sync())
	isErr(t, f.MkdirAll("/d"), errInjected)
	isErr(t, file.Close(), errInjected)
	if calls := f.Calls(OpAny) - before; calls != 3 {
		t.Fatalf("%d calls", calls)
	}
	if f.First() != (Call{OpMkdirAll, "/d"}) {
		t.Fatal(f.First())
	}
	if _, err := file.ReadAt(make([]byte, 1), 0); err == nil {
		t.Fatal("a close that failed left the file open")
	}
}
