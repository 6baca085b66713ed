package commitlog

import (
	"errors"
	"path"
	"slices"
	"sort"
	"sync"

	"github.com/weirmq/weir/internal/vfs"
)

// recycler keeps files of deleted segments, for new segments to be written over them. Blocks that a file has already need no
// allocation, no page of memory and no journal: BenchmarkRecycle, 2-core VM, virtio disk, ext4: a sync of 64 KiB takes half
// as long as behind the end of a file, one of 1 MiB a third.
//
// The files lie in the trash, which every start empties: they matter to nobody but this process. Their old header is wiped,
// durably, before they are kept, so that what they held can never be taken for a segment again; frames are told apart by the salt
// of their file.
type recycler struct {
	store *Store

	mu struct {
		sync.Mutex
		files []recycledFile // smallest first
		bytes int64
	}
}

type recycledFile struct {
	name  string
	bytes int64
}

// keep takes a file of the trash, or returns false: it is of no use. What it held must be out of reach, durably. It blocks for
// the disk.
func (r *recycler) keep(name string) bool {
	info, err := r.store.fs.Stat(name)
	if err != nil || info.IsDir || info.Size < r.store.opts.MinSegmentBytes || r.store.tight.Load() {
		return false
	}
	if !r.makeRoom(info.Size) || r.wipe(name) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.store.tight.Load() { // since a moment ago: what is kept was cleared already
		return false
	}
	at := sort.Search(len(r.mu.files), func(i int) bool { return r.mu.files[i].bytes >= info.Size })
	r.mu.files = slices.Insert(r.mu.files, at, recycledFile{name, info.Size})
	r.mu.bytes += info.Size
	return true
}

// makeRoom has smaller files deleted until another of so many bytes fits, if that is enough.
func (r *recycler) makeRoom(bytes int64) bool {
	limit := r.limit()
	r.mu.Lock()
	defer r.mu.Unlock()
	left, n := r.mu.bytes, 0
	for n < len(r.mu.files) && left+bytes > limit && r.mu.files[n].bytes < bytes {
		left -= r.mu.files[n].bytes
		n++
	}
	if left+bytes > limit {
		return false
	}
	r.dropLocked(n)
	return true
}

// limit is how many bytes may be kept: of a small disk a fiftieth, and never more than a quarter of what is free.
func (r *recycler) limit() int64 {
	usage, err := r.store.fs.Usage(r.store.dir)
	if err != nil {
		return 0
	}
	return min(r.store.opts.RecycleBytes, usage.Total/50, usage.Free/4)
}

// dropLocked has the n smallest files deleted.
func (r *recycler) dropLocked(n int) {
	for _, f := range r.mu.files[:n] {
		r.mu.bytes -= f.bytes
		r.store.janitor.remove(r.store.fs, f.name, r.store.logger)
	}
	r.mu.files = slices.Delete(r.mu.files, 0, n)
}

// wipe overwrites the header of the segment that the file was.
func (r *recycler) wipe(name string) error {
	f, err := r.store.fs.OpenWrite(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, segmentHeaderSize), 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// take returns the largest kept file for a segment of about target bytes. The caller owns it.
func (r *recycler) take(target int64) (recycledFile, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := sort.Search(len(r.mu.files), func(i int) bool { return r.mu.files[i].bytes > target+target/4 }) - 1
	if at < 0 || r.mu.files[at].bytes < target/4 {
		return recycledFile{}, false
	}
	f := r.mu.files[at]
	r.mu.files = slices.Delete(r.mu.files, at, at+1)
	r.mu.bytes -= f.bytes
	return f, true
}

// clear has all kept files deleted, in the background: their space will be needed. It returns how many bytes they have.
func (r *recycler) clear() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	bytes := r.mu.bytes
	r.dropLocked(len(r.mu.files))
	return bytes
}

// giveUp deletes all kept files at once and reports whether there were any. It blocks for the disk.
func (r *recycler) giveUp() bool {
	r.mu.Lock()
	files := r.mu.files
	r.mu.files, r.mu.bytes = nil, 0
	r.mu.Unlock()
	for _, f := range files {
		if err := r.store.fs.RemoveAll(f.name); err != nil {
			r.store.logger.Warn("cannot remove a file kept for reuse, and the disk is full", "file", f.name, "error", err)
		}
	}
	if len(files) > 0 {
		r.store.logger.Info("disk full: files kept for reuse are given up", "files", len(files))
	}
	return len(files) > 0
}

// withRoom runs write once more if the disk was full for it and files kept for reuse could be given up. A write that failed must leave
// nothing behind that a second one minds.
func (s *Store) withRoom(write func() error) error {
	err := write()
	if errors.Is(err, vfs.ErrNoSpace) && s.recycler.giveUp() {
		err = write()
	}
	return err
}

// recycle keeps the segments of something in the trash, a segment or a log's directory, and removes the rest, in the background.
func (s *Store) recycle(trash string) {
	s.janitor.later(func() {
		if !s.recycler.keep(trash) {
			s.recycleWithin(trash)
			s.janitor.remove(s.fs, trash, s.logger)
		}
	})
}

// recycleWithin keeps the segments of a deleted log's directory.
func (s *Store) recycleWithin(dir string) {
	info, err := s.fs.Stat(dir)
	if err != nil || !info.IsDir {
		return
	}
	names, err := s.fs.ReadDir(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		if _, ok := parseNumbered(name, segmentSuffix); !ok {
			continue
		}
		file := s.trashPath(name)
		if s.fs.Rename(path.Join(dir, name), file) == nil && !s.recycler.keep(file) {
			s.janitor.remove(s.fs, file, s.logger)
		}
	}
}

// createFile makes the file of a new segment: a kept one, of which the size is returned, or a new one.
func (s *Store) createFile(name string, target int64) (vfs.File, int64, error) {
	if kept, ok := s.recycler.take(target); ok {
		if f, err := s.reuse(kept.name, name); err == nil {
			return f, kept.bytes, nil
		}
		s.janitor.remove(s.fs, kept.name, s.logger)
		if err := removeIfExists(s.fs, name); err != nil {
			return nil, 0, err
		}
	}
	f, err := s.fs.Create(name)
	return f, 0, err
}

func (s *Store) reuse(kept, name string) (vfs.File, error) {
	if err := s.fs.Rename(kept, name); err != nil {
		return nil, err
	}
	return s.fs.OpenWrite(name)
}
