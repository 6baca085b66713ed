package commitlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/vfs"
)

// Names in a store's directory.
const (
	lockName   = "LOCK"
	formatName = "FORMAT"
	logsName   = "logs"
	trashName  = "trash"

	formatPrefix = "weir data directory, format "
)

// Store is all logs of a node on one disk. It has three goroutines, whatever the number of logs: the committer, the syncer,
// and the janitor, which removes files and writes sidecars. All methods may be called from any goroutine.
type Store struct {
	opts   Options
	fs     vfs.FS
	dir    string
	logger *slog.Logger
	lock   io.Closer

	cache   *tailCache
	files   *fileCache
	indexes *indexCache
	rounds  *committer
	syncer  *syncer

	resting  atomic.Int64 // bytes of buffers that resting Readers keep
	janitor  *janitor
	recycler recycler
	tight    atomic.Bool // see Tight
	scarce   atomic.Bool // see Scarce

	mu struct {
		sync.Mutex
		open   map[LogID]*Log // nil while being opened, created or deleted
		closed bool
	}
}

// OpenStore locks the directory, makes it if it is missing, and starts the store's goroutines. It opens no log. It fails if
// another process holds the directory or if a newer version of Weir wrote it.
func OpenStore(o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("commitlog options: %w", err)
	}
	o = o.withDefaults()
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := o.FS.Lock(path.Join(o.Dir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another weir process; stop it or choose another "+
			"directory: %w", o.Dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", o.Dir, err)
	}
	s := &Store{opts: o, fs: o.FS, dir: o.Dir, logger: o.Logger, lock: lock}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.mu.open = make(map[LogID]*Log)
	s.cache = newTailCache(o.CacheBytes)
	s.files = newFileCache(s.fs, o.OpenFiles)
	s.indexes = newIndexCache(s.fs, s.files, o.IndexBytes, o.Logger)
	s.rounds = newCommitter(s)
	s.syncer = newSyncer(s)
	s.janitor = newJanitor()
	s.recycler.store = s
	if err := s.finishImports(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.emptyTrash(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare checks the format of an existing directory or lays out a new one.
func (s *Store) prepare() error {
	name := path.Join(s.dir, formatName)
	b, err := vfs.ReadFile(s.fs, name, 64)
	switch {
	case err == nil:
		return checkFormat(s.dir, string(b))
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read format of data directory: %w", err)
	}
	for _, d := range []string{logsName, trashName} {
		if err := s.fs.MkdirAll(path.Join(s.dir, d)); err != nil {
			return fmt.Errorf("lay out data directory: %w", err)
		}
	}
	// The directory must not vanish with all that it will hold: make its own name durable, too.
	for _, d := range []string{s.dir, path.Dir(s.dir)} {
		if err := s.fs.SyncDir(d); err != nil {
			return fmt.Errorf("lay out data directory: %w", err)
		}
	}
	if err := vfs.ReplaceFile(s.fs, name, [][]byte{[]byte(formatPrefix + strconv.Itoa(formatVersion) + "\n")}); err != nil {
		return fmt.Errorf("write format of data directory: %w", err)
	}
	return nil
}

// checkFormat refuses what this program does not know.
func checkFormat(dir, text string) error {
	digits, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), formatPrefix)
	version, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return &DamageError{Path: path.Join(dir, formatName), Reason: fmt.Sprintf("it reads %q", text)}
	}
	if version > formatVersion {
		return fmt.Errorf("data directory %s has format %d, written by a newer weir; this weir knows format %d: "+
			"start the newer weir", dir, version, formatVersion)
	}
	return nil
}

// Create makes an empty log. When it returns, the log's existence is durable.
func (s *Store) Create(id LogID) error {
	if err := s.reserve(id); err != nil {
		return err
	}
	defer s.unreserve(id)
	dir := s.logDir(id)
	if _, err := s.fs.Stat(dir); err == nil {
		return fmt.Errorf("create log %v: %w", id, ErrExists)
	}
	// It is built aside and renamed, so that there is never half a log.
	tmp := s.trashPath(id.String())
	err := s.fs.MkdirAll(tmp)
	if err == nil {
		err = identity{id: id, first: 1}.save(s.fs, tmp)
	}
	if err == nil {
		err = s.move(tmp, dir)
	}
	if err != nil {
		s.janitor.remove(s.fs, tmp, s.logger)
		if errors.Is(err, vfs.ErrNoSpace) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		return fmt.Errorf("create log %v: %w", id, err)
	}
	return nil
}

// Open recovers a log for src. Nothing is collected before the first Kick. Errors: ErrNotFound, ErrExists if it is open, or a
// *DamageError.
func (s *Store) Open(id LogID, src Source, o LogOptions) (*Log, error) {
	if err := s.reserve(id); err != nil {
		return nil, err
	}
	l := &Log{id: id, dir: s.logDir(id), store: s, src: src, policy: s.opts.Sync,
		tailTurn: make(turn, 1), syncTurn: make(turn, 1), keepTurn: make(turn, 1),
		growth: segmentGrowth{s.opts.MinSegmentBytes}}
	if o.Sync != nil {
		l.policy = *o.Sync
	}
	if err := l.recover(); err != nil {
		s.unreserve(id)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return nil, fmt.Errorf("open log %v: %w", id, err)
	}
	s.mu.Lock()
	s.mu.open[id] = l
	s.mu.Unlock()
	return l, nil
}

// Delete removes a closed log. Its name is gone durably on return; the space is freed in the background.
func (s *Store) Delete(id LogID) error {
	if err := s.reserve(id); err != nil {
		return err
	}
	defer s.unreserve(id)
	trash := s.trashPath(id.String())
	if err := s.move(s.logDir(id), trash); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return fmt.Errorf("delete log %v: %w", id, err)
	}
	s.recycle(trash)
	return nil
}

// List returns the ids of all logs, in order.
func (s *Store) List() ([]LogID, error) {
	names, err := s.fs.ReadDir(path.Join(s.dir, logsName))
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var ids []LogID
	for _, name := range names {
		if id, ok := parseLogID(name); ok {
			ids = append(ids, id)
		} else {
			s.logger.Warn("a file among the logs is none of weir's and is left alone", "dir", s.dir, "name", name)
		}
	}
	return ids, nil
}

// Close closes the logs that are still open, removes the files kept for reuse, waits for the store's goroutines and unlocks the
// directory.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.closed = true
	var open []*Log
	for _, l := range s.mu.open {
		if l != nil {
			open = append(open, l)
		}
	}
	s.mu.Unlock()
	var errs []error
	for _, l := range open {
		errs = append(errs, l.Close())
	}
	s.rounds.stop()
	s.syncer.stop()
	s.Tight(true) // what is kept is of no use to the next process, and a stopped node should take no more than its data
	s.janitor.stop()
	return errors.Join(append(errs, s.lock.Close())...)
}

// reserve makes sure that nobody else opens, creates or deletes the log.
func (s *Store) reserve(id LogID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return fmt.Errorf("log %v: %w", id, ErrClosed)
	}
	if _, taken := s.mu.open[id]; taken {
		return fmt.Errorf("log %v is open: %w", id, ErrExists)
	}
	s.mu.open[id] = nil
	return nil
}

func (s *Store) unreserve(id LogID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.open, id)
}

// detach forgets a log that is closed.
func (s *Store) detach(l *Log) { s.unreserve(l.id) }

func (s *Store) logDir(id LogID) string { return path.Join(s.dir, logsName, id.String()) }
