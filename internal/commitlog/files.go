package commitlog

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/weirmq/weir/internal/vfs"
)

// fileCache keeps segments open for reading, at most limit that nobody uses at the moment. One mutex guards it; files are
// opened and closed outside of it.
type fileCache struct {
	fsys  vfs.FS
	limit int

	mu struct {
		sync.Mutex
		open map[*segment]*openFile
		idle *list.List // of *openFile, most recently used first
	}
}

// openFile is a file that readers share.
type openFile struct {
	seg  *segment
	file vfs.File
	// Guarded by the cache's mutex.
	users int
	idle  *list.Element // nil while there are users
	drop  bool          // close it when the last user goes
}

func newFileCache(fsys vfs.FS, limit int) *fileCache {
	c := &fileCache{fsys: fsys, limit: limit}
	c.mu.open, c.mu.idle = make(map[*segment]*openFile), list.New()
	return c
}

// acquire opens s or shares the open file. Every acquire needs a release.
func (c *fileCache) acquire(s *segment) (*openFile, error) {
	if f := c.share(s); f != nil {
		return f, nil
	}
	file, err := s.open(c.fsys)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	c.mu.Lock()
	if f := c.mu.open[s]; f != nil { // somebody else was faster
		c.useLocked(f)
		c.mu.Unlock()
		file.Close()
		return f, nil
	}
	f := &openFile{seg: s, file: file, users: 1, drop: s.gone.Load()}
	if !f.drop {
		c.mu.open[s] = f
	}
	c.mu.Unlock()
	return f, nil
}

func (c *fileCache) share(s *segment) *openFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.mu.open[s]
	if f != nil {
		c.useLocked(f)
	}
	return f
}

func (c *fileCache) useLocked(f *openFile) {
	f.users++
	if f.idle != nil {
		c.mu.idle.Remove(f.idle)
		f.idle = nil
	}
}

// release gives f back.
func (c *fileCache) release(f *openFile) {
	var closing *openFile
	c.mu.Lock()
	f.users--
	switch {
	case f.users > 0:
	case f.drop:
		closing = f
	default:
		f.idle = c.mu.idle.PushFront(f)
		if c.mu.idle.Len() > c.limit {
			closing = c.mu.idle.Remove(c.mu.idle.Back()).(*openFile)
			delete(c.mu.open, closing.seg)
		}
	}
	c.mu.Unlock()
	if closing != nil {
		closing.file.Close()
	}
}

// drop forgets the file of a segment that is gone; its users keep it until they release it.
func (c *fileCache) drop(s *segment) {
	c.mu.Lock()
	f := c.mu.open[s]
	if f != nil {
		delete(c.mu.open, s)
		f.drop = true
		if f.idle != nil {
			c.mu.idle.Remove(f.idle)
		}
	}
	unused := f != nil && f.users == 0
	c.mu.Unlock()
	if unused {
		f.file.Close()
	}
}
