package vfs

import (
	"fmt"
	"io"
	"path"
	"sync"
)

// Op names an operation for the rules of a Fault.
type Op string

// The operations that a Rule can match. OpWrite covers WriteAt and WriteVec, OpOpen covers Open and OpenWrite, OpStat covers Stat
// and Size. OpAny stands for all of them.
const (
	OpAny       Op = ""
	OpCreate    Op = "create"
	OpOpen      Op = "open"
	OpRead      Op = "read"
	OpWrite     Op = "write"
	OpSync      Op = "sync"
	OpTruncate  Op = "truncate"
	OpRename    Op = "rename"
	OpRemove    Op = "remove"
	OpRemoveAll Op = "removeall"
	OpMkdirAll  Op = "mkdirall"
	OpReadDir   Op = "readdir"
	OpSyncDir   Op = "syncdir"
	OpSyncAll   Op = "syncall"
	OpLock      Op = "lock"
	OpStat      Op = "stat"
	OpUsage     Op = "usage"
	OpDropCache Op = "dropcache"
	OpClose     Op = "close" // the file is closed all the same
)

// Rule makes some calls of one operation, or of any, fail. A call that fails does not reach the file system below, except for the
// part of a write that Part lets through.
type Rule struct {
	Op Op
	// Match is a pattern of path.Match for the last part of the path (of a rename: the new path); "" matches all.
	Match string
	// Nth is the first matching call that fails, counted from 1 when the rule is added; 0 means 1.
	Nth int
	// Times is how many calls fail from then on; 0 means all.
	Times int
	// Err is what they return.
	Err error
	// Part is how many bytes of a failing write are written before it fails.
	Part int
}

// Fault passes everything on to another FS, except for the calls that its rules make fail. All methods may be called from
// several goroutines at once.
type Fault struct {
	below FS

	mu    sync.Mutex // guards what follows, and what the rules count
	rules []*countedRule
	calls map[Op]int
	first Call
}

// Call is one call of an operation.
type Call struct {
	Op   Op
	Path string // of a rename: the new path
}

type countedRule struct {
	Rule
	calls, hits int
}

// NewFault returns a Fault over below, without rules.
func NewFault(below FS) *Fault { return &Fault{below: below, calls: make(map[Op]int)} }

// Add adds a rule. Of several rules that match a call, all count it and the one added first decides the error. Add panics
// on a rule without an error or with a bad pattern.
func (f *Fault) Add(r Rule) {
	if _, err := path.Match(r.Match, ""); err != nil || r.Err == nil {
		panic(fmt.Sprintf("vfs: bad fault rule %+v", r))
	}
	r.Nth = max(r.Nth, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &countedRule{Rule: r})
}

// Clear removes all rules.
func (f *Fault) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Hits returns how many calls the present rules have made fail.
func (f *Fault) Hits() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		n += r.hits
	}
	return n
}

// Calls returns how many calls of an operation there have been, of OpAny those of all together.
func (f *Fault) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// First returns the first call that a rule has made fail, the zero Call if there is none.
func (f *Fault) First() Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}

// check counts a call and returns the error it is to fail with, if any, and how much of a write comes before.
func (f *Fault) check(op Op, name string) (part int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[OpAny]++
	f.calls[op]++
	for _, r := range f.rules {
		matches, _ := path.Match(r.Match, path.Base(name)) // Add has checked the pattern
		if r.Op != OpAny && r.Op != op || r.Match != "" && !matches {
			continue
		}
		r.calls++
		if err == nil && r.calls >= r.Nth && (r.Times == 0 || r.calls < r.Nth+r.Times) {
			r.hits++
			if f.first == (Call{}) {
				f.first = Call{op, name}
			}
			part, err = r.Part, fmt.Errorf("%s %s: %w", op, name, r.Err)
		}
	}
	return part, err
}

// Create implements FS.
func (f *Fault) Create(name string) (File, error) { return f.open(OpCreate, name, f.below.Create) }

// Open implements FS.
func (f *Fault) Open(name string) (File, error) { return f.open(OpOpen, name, f.below.Open) }

// OpenWrite implements FS.
func (f *Fault) OpenWrite(name string) (File, error) { return f.open(OpOpen, name, f.below.OpenWrite) }

func (f *Fault) open(op Op, name string, open func(string) (File, error)) (File, error) {
	if _, err := f.check(op, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fault: f, name: name}, nil
}

// Rename implements FS.
func (f *Fault) Rename(oldName, newName string) error {
	return f.pass(OpRename, newName, func(string) error { return f.below.Rename(oldName, newName) })
}

// Remove implements FS.
func (f *Fault) Remove(name string) error { return f.pass(OpRemove, name, f.below.Remove) }

// RemoveAll implements FS.
func (f *Fault) RemoveAll(name string) error { return f.pass(OpRemoveAll, name, f.below.RemoveAll) }

// MkdirAll implements FS.
func (f *Fault) MkdirAll(name string) error { return f.pass(OpMkdirAll, name, f.below.MkdirAll) }

// SyncDir implements FS.
func (f *Fault) SyncDir(name string) error { return f.pass(OpSyncDir, name, f.below.SyncDir) }

// SyncAll implements FS.
func (f *Fault) SyncAll(name string) error { return f.pass(OpSyncAll, name, f.below.SyncAll) }

func (f *Fault) pass(op Op, name string, call func(string) error) error {
	if _, err := f.check(op, name); err != nil {
		return err
	}
	return call(name)
}

// ReadDir implements FS.
func (f *Fault) ReadDir(name string) ([]string, error) {
	if _, err := f.check(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.below.ReadDir(name)
}

// Stat implements FS.
func (f *Fault) Stat(name string) (Info, error) {
	if _, err := f.check(OpStat, name); err != nil {
		return Info{}, err
	}
	return f.below.Stat(name)
}

// Lock implements FS.
func (f *Fault) Lock(name string) (io.Closer, error) {
	if _, err := f.check(OpLock, name); err != nil {
		return nil, err
	}
	return f.below.Lock(name)
}

// Usage implements FS.
func (f *Fault) Usage(name string) (Usage, error) {
	if _, err := f.check(OpUsage, name); err != nil {
		return Usage{}, err
	}
	return f.below.Usage(name)
}

// faultFile is a file opened through a Fault, under the path it had then.
type faultFile struct {
	File
	fault *Fault
	name  string
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.fault.check(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	part, err := f.fault.check(OpWrite, f.name)
	if err == nil {
		return f.File.WriteAt(p, off)
	}
	return f.writePart([][]byte{p}, off, part, err)
}

func (f *faultFile) WriteVec(bufs [][]byte, off int64) (int, error) {
	part, err := f.fault.check(OpWrite, f.name)
	if err == nil {
		return f.File.WriteVec(bufs, off)
	}
	return f.writePart(bufs, off, part, err)
}

// writePart writes the first part bytes of bufs and reports cause.
func (f *faultFile) writePart(bufs [][]byte, off int64, part int, cause error) (n int, err error) {
	for _, b := range bufs {
		b = b[:min(len(b), part-n)]
		wrote, err := f.File.WriteAt(b, off+int64(n))
		n += wrote
		if err != nil {
			return n, fmt.Errorf("%w (and %w)", cause, err)
		}
	}
	return n, cause
}

func (f *faultFile) Sync() error {
	if _, err := f.fault.check(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if _, err := f.fault.check(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Size() (int64, error) {
	if _, err := f.fault.check(OpStat, f.name); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *faultFile) DropCache() error {
	if _, err := f.fault.check(OpDropCache, f.name); err != nil {
		return err
	}
	return f.File.DropCache()
}

func (f *faultFile) Close() error {
	_, err := f.fault.check(OpClose, f.name)
	if closed := f.File.Close(); err == nil {
		err = closed
	}
	return err
}
