package commitlog

import (
	"container/list"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/weirmq/weir/internal/vfs"
)

// indexCache keeps the sparse indexes of sealed segments in memory, the least recently used going first. One mutex guards
// it; files are read outside of it, so two readers may load one index at once, which does no harm.
type indexCache struct {
	fsys   vfs.FS
	files  *fileCache
	limit  int64 // bytes
	logger *slog.Logger

	mu struct {
		sync.Mutex
		entries map[*segment]*list.Element // of *cachedIndex
		recent  *list.List                 // most recently used first
		bytes   int64
	}
}

type cachedIndex struct {
	seg   *segment
	index *sparseIndex
}

func newIndexCache(fsys vfs.FS, files *fileCache, limit int64, logger *slog.Logger) *indexCache {
	c := &indexCache{fsys: fsys, files: files, limit: limit, logger: logger}
	c.mu.entries, c.mu.recent = make(map[*segment]*list.Element), list.New()
	return c
}

// get returns the index of a sealed segment: from memory, from its sidecar, or rebuilt from the segment itself.
func (c *indexCache) get(s *segment) (*sparseIndex, error) {
	c.mu.Lock()
	if e := c.mu.entries[s]; e != nil {
		c.mu.recent.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*cachedIndex).index, nil
	}
	c.mu.Unlock()
	x, err := c.load(s)
	if err != nil {
		return nil, err
	}
	c.put(s, x)
	return x, nil
}

// put keeps x as the index of s.
func (c *indexCache) put(s *segment, x *sparseIndex) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.entries[s] != nil || s.gone.Load() {
		return
	}
	c.mu.entries[s] = c.mu.recent.PushFront(&cachedIndex{s, x})
	c.mu.bytes += x.sizeBytes()
	for c.mu.bytes > c.limit && c.mu.recent.Len() > 1 {
		c.removeLocked(c.mu.recent.Back())
	}
}

// drop forgets the index of a segment that is gone.
func (c *indexCache) drop(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.mu.entries[s]; e != nil {
		c.removeLocked(e)
	}
}

func (c *indexCache) removeLocked(e *list.Element) {
	v := c.mu.recent.Remove(e).(*cachedIndex)
	delete(c.mu.entries, v.seg)
	c.mu.bytes -= v.index.sizeBytes()
}

// load reads the sidecar, or rebuilds the index and writes a new sidecar.
func (c *indexCache) load(s *segment) (*sparseIndex, error) {
	x, err := loadSidecar(c.fsys, s)
	if err == nil && x.last == s.last {
		return x, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.logger.Warn("index file is unusable, rebuilding it from the segment", "file", s.name(indexSuffix), "error", err)
	}
	f, err := c.files.acquire(s)
	if err != nil {
		return nil, err
	}
	defer c.files.release(f)
	if x, err = buildIndex(f.file, s); err != nil {
		return nil, err
	}
	if x.end >= sidecarFromBytes {
		c.saveSidecar(s, x)
	}
	return x, nil
}

// sidecarFromBytes is the size from which on a segment gets a sidecar: below it reading the segment is as quick.
const sidecarFromBytes = 256 << 10

// saveSidecar writes the sidecar of a sealed segment. It is not synced, as it can be rebuilt; a failure is logged only.
func (c *indexCache) saveSidecar(s *segment, x *sparseIndex) {
	name := s.name(indexSuffix)
	if err := c.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.logger.Warn("cannot replace index file", "file", name, "error", err)
		return
	}
	f, err := c.fsys.Create(name)
	if err == nil {
		_, err = f.WriteAt(x.encode(&s.segmentHeader), 0)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.logger.Warn("cannot write index file", "file", name, "error", err)
	}
}

// loadSidecar reads the sidecar of s. It fails if that is missing, damaged or another segment's.
func loadSidecar(fsys vfs.FS, s *segment) (*sparseIndex, error) {
	b, err := vfs.ReadFile(fsys, s.name(indexSuffix), sidecarMaxBytes)
	if err != nil {
		return nil, err
	}
	x, salt, err := parseSidecar(b)
	if err == nil && salt != s.salt {
		err = errSidecar
	}
	return x, err
}

// buildIndex reads the frames of s up to its last entry.
func buildIndex(f vfs.File, s *segment) (*sparseIndex, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	x := &sparseIndex{end: segmentHeaderSize, last: s.before}
	sc := scanner{file: f, seed: s.seed, pos: segmentHeaderSize, limit: size, ahead: scanAheadBytes}
	for x.last.index < s.last.index {
		fr, err := sc.next()
		if err != nil {
			return nil, s.scanError(&sc, err)
		}
		switch fr.kind {
		case kindMark:
		case kindLost:
			x.add(&fr.frameHeader, fr.base, fr.pos)
		default:
			e := fr.entry(fr.payload)
			x.add(&fr.frameHeader, e.Next(), fr.pos)
		}
	}
	return x, nil
}

// scanError turns the end of a scan that had to find more into damage; a disk's error stays what it is.
func (s *segment) scanError(sc *scanner, err error) error {
	var broken *brokenFrame
	switch {
	case errors.As(err, &broken):
		return s.damage(broken.pos, broken.reason)
	case err == io.EOF:
		return s.damage(sc.pos, "the file ends before its last entry")
	case err == errUnwritten:
		return s.damage(sc.pos, err.Error())
	}
	return err
}
