package commitlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// importsName is the directory of imports that are complete and have not yet taken their log's place.
const importsName = "imports"

// Origin is where a log begins: the end of what lies before its first entry.
type Origin struct {
	Index record.Index // of the last entry before
	Term  record.Term
	Next  record.Offset // of the first message
	Time  int64         // of the entry before, Unix ns
}

// Origin returns where the log's oldest entry begins.
func (l *Log) Origin() Origin {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.mu.end
	if len(l.mu.segments) > 0 {
		before = l.mu.segments[0].before
		before.index = l.mu.segments[0].base - 1
	}
	return Origin{Index: before.index, Term: before.term, Next: before.next, Time: before.time}
}

// CheckpointIndex returns the index of the newest checkpoint that is stored, 0 if there is none.
func (l *Log) CheckpointIndex() record.Index {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.mu.states); n > 0 {
		return l.mu.states[n-1]
	}
	return 0
}

// Import is a copy of another replica's log in the making. It is built aside and takes the place of the log of the same id all at
// once. It belongs to one goroutine.
type Import struct {
	store   *Store
	id      LogID
	dir     string
	first   record.Index
	end     logEnd
	carried carryTable
	tail    *tailFile
	writer  frameWriter
}

// Import begins a copy of a log, whose first entry follows origin.
func (s *Store) Import(id LogID, origin Origin) (*Import, error) {
	im := &Import{store: s, id: id, dir: s.trashPath(id.String()), first: origin.Index + 1,
		end: logEnd{index: origin.Index, next: origin.Next, term: origin.Term, time: origin.Time}}
	err := s.fs.MkdirAll(im.dir)
	if err == nil {
		err = im.begin(0)
	}
	if err != nil {
		im.Abandon()
		return nil, fmt.Errorf("import log %v: %w", id, full(err))
	}
	return im, nil
}

// begin starts the next segment.
func (im *Import) begin(previous record.Index) error {
	h := segmentHeader{id: im.id, base: im.end.index + 1, before: im.end, previous: uint32(previous), durableBefore: true}
	rand.Read(h.salt[:])
	t, err := im.store.createTail(im.dir, h, im.store.opts.MaxSegmentBytes)
	if err != nil {
		return err
	}
	im.tail = t
	return nil
}

// Append adds entries, which follow each other and what is there. Nothing is durable yet. Errors: ErrFull, or that the entries do
// not follow.
func (im *Import) Append(entries []record.Entry) error {
	for i := range entries {
		e := &entries[i]
		if e.Index != im.end.index+1 || e.Base != im.end.next || e.Term < im.end.term || e.Time < im.end.time {
			return fmt.Errorf("import log %v: entry %d (base %d) does not follow %d (next %d)", im.id, e.Index, e.Base, im.end.index, im.end.next)
		}
		if h := entryHeader(e, 0); e.Kind >= kindMark || h.check(true) != nil {
			return fmt.Errorf("import log %v: entry %d is of kind %d", im.id, e.Index, e.Kind)
		}
		if e.Kind == record.KindCarry {
			if err := im.carried.add(e); err != nil {
				return fmt.Errorf("import log %v: entry %d: %w", im.id, e.Index, err)
			}
		}
		im.end = im.end.after(e)
	}
	t := im.tail
	size := im.writer.encode(entries, t.seg.seed, 0)
	_, err := t.file.WriteVec(im.writer.bufs, t.pos)
	im.writer.clear()
	if err != nil {
		return fmt.Errorf("import log %v: %w", im.id, full(err))
	}
	if t.pos += size; t.pos < im.store.opts.MaxSegmentBytes {
		return nil
	}
	if err := im.settle(); err != nil {
		return fmt.Errorf("import log %v: %w", im.id, full(err))
	}
	return full(im.begin(im.end.index + 1 - t.seg.base))
}

// settle ends the segment under way: all of it is durable, and its last frame says so.
func (im *Import) settle() error {
	t := im.tail
	im.tail = nil
	h := im.end.markHeader(im.end.index)
	b := make([]byte, frameHeaderSize)
	putFrameHeader(b, &h, t.seg.seed)
	_, err := t.file.WriteAt(b, t.pos)
	if err == nil && t.ready > t.pos {
		err = t.file.Truncate(t.pos + frameHeaderSize)
	}
	if err == nil {
		err = t.file.Sync()
	}
	if err = errors.Join(err, t.file.Close()); err != nil {
		return err
	}
	return im.store.fs.Rename(t.seg.name(freshSuffix), t.seg.name(segmentSuffix))
}

// Finish completes the import with the state as of its last entry. When it returns, the import is durable, and Adopt puts it in
// place.
func (im *Import) Finish(state []byte) error {
	fsys := im.store.fs
	err := im.settle()
	if err == nil {
		c := checkpoint{id: im.id, at: im.end.index, state: state, carried: im.carried.refs}
		err = vfs.ReplaceFile(fsys, numberedName(im.dir, uint64(c.at), stateSuffix), c.encode())
	}
	if err == nil {
		err = identity{id: im.id, first: im.first}.save(fsys, im.dir)
	}
	to := im.store.importDir(im.id)
	if err == nil {
		err = fsys.MkdirAll(path.Dir(to))
	}
	if err == nil {
		err = fsys.SyncDir(im.store.dir)
	}
	if err == nil {
		err = fsys.RemoveAll(to) // an older one that nobody adopted
	}
	if err == nil {
		err = im.store.move(im.dir, to)
	}
	if err != nil {
		im.Abandon()
		return fmt.Errorf("import log %v: %w", im.id, full(err))
	}
	return nil
}

// Abandon removes an import that was not finished.
func (im *Import) Abandon() {
	if im.tail != nil {
		im.tail.file.Close()
		im.tail = nil
	}
	im.store.janitor.remove(im.store.fs, im.dir, im.store.logger)
}

// Adopt replaces a closed log by its finished import, durably. A crash on the way leaves the old log or the new one.
func (s *Store) Adopt(id LogID) error {
	if err := s.reserve(id); err != nil {
		return err
	}
	defer s.unreserve(id)
	trash := s.trashPath(id.String())
	if err := s.move(s.logDir(id), trash); err != nil {
		return fmt.Errorf("adopt log %v: %w", id, err)
	}
	s.recycle(trash)
	if err := s.move(s.importDir(id), s.logDir(id)); err != nil {
		return fmt.Errorf("adopt log %v: %w", id, err)
	}
	return nil
}

func (s *Store) importDir(id LogID) string { return path.Join(s.dir, importsName, id.String()) }

// finishImports puts imports in place whose log was already removed when the node stopped, and drops the others.
func (s *Store) finishImports() error {
	names, err := s.fs.ReadDir(path.Join(s.dir, importsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read imports: %w", err)
	}
	for _, name := range names {
		from, to := path.Join(s.dir, importsName, name), path.Join(s.dir, logsName, name)
		_, known := parseLogID(name)
		_, err := s.fs.Stat(to)
		switch {
		case known && errors.Is(err, fs.ErrNotExist):
			err = s.move(from, to)
		case err == nil || errors.Is(err, fs.ErrNotExist):
			err = s.fs.RemoveAll(from)
		}
		if err != nil {
			return fmt.Errorf("finish import %s: %w", name, err)
		}
	}
	return nil
}

// full puts an error of a full disk into the log's terms.
func full(err error) error {
	if errors.Is(err, vfs.ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
