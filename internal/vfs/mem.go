package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
)

// ErrCrashed is what every operation on a memory disk, and on its open files, reports after the disk has stopped.
var ErrCrashed = errors.New("the disk has crashed")

var (
	errNotDir   = errors.New("not a directory")
	errIsDir    = errors.New("is a directory")
	errNotEmpty = errors.New("directory not empty")
)

// Mem is a disk in memory that can lose what was not synced. It is for tests. It keeps, beside the view that its methods
// show, what is durable; Crash returns the disk as it may come up after a power cut, Kill as it does after the death of
// the process.
//
// The model of a power cut is as harsh as journaling file systems allow, and harsher than most are:
//
//   - Data. Each 512-byte sector written since the file's last Sync is, independently of all others, on disk, not on disk,
//     or torn: partly new, or garbage. Only bytes that a write has changed can suffer; the durable bytes beside them in
//     the same sector cannot. Of several writes to one sector only the last counts.
//   - Sizes. Changes of size since the last Sync reach the disk in order, up to any point; growth may stop half way. A
//     size may be there without the data (which then reads as zeros), and data never brings its size along.
//   - Names. Each create, remove and rename since the last SyncDir of its directory is done or not, independently of those
//     of other names: no order holds between different names, not even within one directory. Operations on one name
//     keep their order. A rename is atomic: the node has its old name or its new one, never neither and never both, and
//     a file that was replaced is there until the new one is. A rename between directories is certain once both are
//     synced.
//   - Files and names know nothing of each other: Sync of a new file does not save its name, SyncDir not its content.
//     What hangs below a lost directory name is lost, synced or not.
//
// Space is counted in blocks of 4096 bytes; names take none. All methods may be called from several goroutines at once;
// what a seed leads to can be repeated if the operations came in the same order.
type Mem struct {
	seed uint64

	mu      sync.Mutex // guards everything below, and all nodes
	root    *memNode
	pending []*dirOp // directory operations not yet durable, oldest first
	locks   map[string]bool
	ops     int
	stopAt  int // the operation that is cut short, counted like ops; 0 for none
	stopped bool

	capacityBlocks int64 // 0 for no limit
	usedBlocks     int64
}

// NewMem returns an empty disk. The seed decides how the operation that CrashAfter names is cut short.
func NewMem(seed uint64) *Mem { return newMem(seed, newMemDir(), nil) }

func newMem(seed uint64, root *memNode, pending []*dirOp) *Mem {
	m := &Mem{seed: seed, root: root, pending: pending, locks: map[string]bool{}}
	root.each(func(c *memContent) { m.usedBlocks += int64(c.blocks()) })
	return m
}

// view runs an operation that changes nothing.
func (m *Mem) view(op, name string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := do()
	if m.stopped {
		err = ErrCrashed
	}
	return memError(op, name, err)
}

// mutate runs an operation that counts. The one that CrashAfter named is told to be cut, runs or not, and fails.
func (m *Mem) mutate(op, name string, do func(cut *rand.Rand) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return memError(op, name, ErrCrashed)
	}
	m.ops++
	if m.ops != m.stopAt {
		return memError(op, name, do(nil))
	}
	m.stopped = true
	rng := rand.New(rand.NewPCG(m.seed, uint64(m.ops)))
	if rng.IntN(3) > 0 {
		_ = do(rng) // what it says no longer matters
	}
	return memError(op, name, ErrCrashed)
}

func memError(op, name string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	var f *memFile
	err := m.mutate("create", name, func(*rand.Rand) error {
		n, err := m.create(name)
		f = &memFile{mem: m, node: n, name: name, write: true}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *Mem) create(name string) (*memNode, error) {
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	if dir.entries[base] != nil {
		return nil, fs.ErrExist
	}
	n := &memNode{file: &memContent{}}
	m.change(nameChange{dir: dir, name: base, to: n})
	return n, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

// OpenWrite implements FS.
func (m *Mem) OpenWrite(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, write bool) (File, error) {
	f := &memFile{mem: m, name: name, write: write}
	err := m.view("open", name, func() (err error) {
		if f.node, err = m.lookup(name); err == nil && f.node.isDir() {
			err = errIsDir
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename implements FS.
func (m *Mem) Rename(oldName, newName string) error {
	return m.mutate("rename", oldName, func(*rand.Rand) error {
		from, fromBase, err := m.parent(oldName)
		if err != nil {
			return err
		}
		to, toBase, err := m.parent(newName)
		if err != nil {
			return err
		}
		n, replaced := from.entries[fromBase], to.entries[toBase]
		switch {
		case n == nil:
			return fs.ErrNotExist
		case n == replaced:
			return nil
		case n.isDir() && n.contains(to):
			return fs.ErrInvalid
		case replaced != nil && (n.isDir() || replaced.isDir()):
			return fs.ErrExist
		case replaced != nil:
			m.free(replaced.file)
		}
		m.change(nameChange{dir: from, name: fromBase}, nameChange{dir: to, name: toBase, to: n})
		return nil
	})
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	return m.mutate("remove", name, func(*rand.Rand) error {
		dir, base, err := m.parent(name)
		if err != nil {
			return err
		}
		switch n := dir.entries[base]; {
		case n == nil:
			return fs.ErrNotExist
		case n.isDir() && len(n.entries) > 0:
			return errNotEmpty
		case !n.isDir():
			m.free(n.file)
		}
		m.change(nameChange{dir: dir, name: base})
		return nil
	})
}

// RemoveAll implements FS, by one Remove after another, so that it too can be cut short.
func (m *Mem) RemoveAll(name string) error {
	info, err := m.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir {
		names, err := m.ReadDir(name)
		if err != nil {
			return err
		}
		for _, child := range names {
			if err := m.RemoveAll(path.Join(name, child)); err != nil {
				return err
			}
		}
	}
	return m.Remove(name)
}

// MkdirAll implements FS. Each directory made counts as one operation.
func (m *Mem) MkdirAll(name string) error {
	at := "/"
	for _, part := range splitPath(name) {
		at = path.Join(at, part)
		info, err := m.Stat(at)
		switch {
		case err == nil && info.IsDir:
			continue
		case err == nil:
			return memError("mkdir", at, errNotDir)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		err = m.mutate("mkdir", at, func(*rand.Rand) error {
			dir, base, err := m.parent(at)
			if err == nil && dir.entries[base] == nil {
				m.change(nameChange{dir: dir, name: base, to: newMemDir()})
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) (names []string, err error) {
	err = m.view("readdir", name, func() error {
		n, err := m.lookupDir(name)
		if err == nil {
			names = slices.Sorted(maps.Keys(n.entries))
		}
		return err
	})
	return names, err
}

// Stat implements FS.
func (m *Mem) Stat(name string) (info Info, err error) {
	err = m.view("stat", name, func() error {
		n, err := m.lookup(name)
		if err != nil {
			return err
		}
		if n.isDir() {
			info.IsDir = true
		} else {
			info.Size = n.file.size
		}
		return nil
	})
	return info, err
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	return m.mutate("syncdir", name, func(*rand.Rand) error {
		n, err := m.lookupDir(name)
		if err == nil {
			m.syncNames(n)
		}
		return err
	})
}

// SyncAll implements FS. Cut short, it has synced names, or data, or both.
func (m *Mem) SyncAll(name string) error {
	return m.mutate("syncfs", name, func(cut *rand.Rand) error {
		if _, err := m.lookup(name); err != nil {
			return err
		}
		if cut == nil || cut.IntN(2) == 0 {
			m.syncNames(nil)
		}
		m.root.each(func(c *memContent) {
			if cut == nil || cut.IntN(2) == 0 {
				c.sync()
			}
		})
		return nil
	})
}

// Lock implements FS. The lock also ends with Kill and Crash.
func (m *Mem) Lock(name string) (io.Closer, error) {
	key := path.Clean("/" + name)
	err := m.mutate("lock", name, func(*rand.Rand) error {
		n, err := m.lookup(name)
		if errors.Is(err, fs.ErrNotExist) {
			n, err = m.create(name)
		}
		switch {
		case err != nil:
			return err
		case n.isDir():
			return errIsDir
		case m.locks[key]:
			return ErrLocked
		}
		m.locks[key] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memLock{mem: m, key: key}, nil
}

// memLock is a held lock.
type memLock struct {
	mem  *Mem
	key  string
	once sync.Once
}

func (l *memLock) Close() error {
	err := fs.ErrClosed
	l.once.Do(func() {
		l.mem.mu.Lock()
		defer l.mem.mu.Unlock()
		delete(l.mem.locks, l.key)
		err = nil
	})
	return err
}

// Usage implements FS. Without a capacity the disk says it has a terabyte.
func (m *Mem) Usage(name string) (u Usage, err error) {
	err = m.view("usage", name, func() error {
		if _, err := m.lookup(name); err != nil {
			return err
		}
		u.Total = 1 << 40
		if m.capacityBlocks > 0 {
			u.Total = m.capacityBlocks * pageBytes
		}
		u.Free = max(u.Total-m.usedBlocks*pageBytes, 0)
		return nil
	})
	return u, err
}

// SetCapacity limits the space that files may take, in bytes (rounded down to whole blocks, but at least one block); 0
// lifts the limit. A write that needs a block beyond it stores what fits and reports ErrNoSpace; writes over blocks that
// a file already has go on. A capacity below what is used is allowed.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacityBlocks = 0
	if bytes > 0 {
		m.capacityBlocks = max(bytes/pageBytes, 1)
	}
}

// free gives back the space of a file that lost its name; what open handles still write to it takes none.
func (m *Mem) free(c *memContent) {
	m.usedBlocks -= int64(c.blocks())
	c.nameless = true
}

// room takes one free block of the disk, if there is one.
func (m *Mem) room() bool {
	limit := m.capacityBlocks
	if limit == 0 {
		limit = math.MaxInt64
	}
	if m.usedBlocks >= limit {
		return false
	}
	m.usedBlocks++
	return true
}
