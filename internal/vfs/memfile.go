package vfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
)

// memFile is one open file of a memory disk. What it points to is guarded by the disk's mutex.
type memFile struct {
	mem    *Mem
	node   *memNode
	name   string
	write  bool
	closed bool
}

// view and mutate are those of the disk, refused once the file is closed.
func (f *memFile) view(op string, do func(c *memContent) error) error {
	return f.mem.view(op, f.name, func() error {
		if f.closed {
			return fs.ErrClosed
		}
		return do(f.node.file)
	})
}

func (f *memFile) mutate(op string, do func(c *memContent, cut *rand.Rand) error) error {
	return f.mem.mutate(op, f.name, func(cut *rand.Rand) error {
		if f.closed {
			return fs.ErrClosed
		}
		return do(f.node.file, cut)
	})
}

func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.view("read", func(c *memContent) error {
		if off < 0 {
			return fs.ErrInvalid
		}
		if n = c.read(p, off); n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) { return f.WriteVec([][]byte{p}, off) }

func (f *memFile) WriteVec(bufs [][]byte, off int64) (n int, err error) {
	err = f.mutate("write", func(c *memContent, cut *rand.Rand) error {
		switch {
		case !f.write:
			return fs.ErrPermission
		case off < 0:
			return fs.ErrInvalid
		}
		limit := 0
		for _, b := range bufs {
			limit += len(b)
		}
		if cut != nil {
			limit = cut.IntN(limit + 1)
		}
		for _, b := range bufs {
			b = b[:min(len(b), limit-n)]
			wrote := c.write(b, off+int64(n), f.mem.room)
			n += wrote
			if wrote < len(b) {
				return ErrNoSpace
			}
		}
		return nil
	})
	return n, err
}

func (f *memFile) Sync() error {
	return f.mutate("sync", func(c *memContent, _ *rand.Rand) error {
		c.sync()
		return nil
	})
}

func (f *memFile) Truncate(size int64) error {
	return f.mutate("truncate", func(c *memContent, _ *rand.Rand) error {
		switch {
		case !f.write:
			return fs.ErrPermission
		case size < 0:
			return fs.ErrInvalid
		}
		if freed := c.truncate(size); !c.nameless {
			f.mem.usedBlocks -= int64(freed)
		}
		return nil
	})
}

func (f *memFile) Size() (size int64, err error) {
	err = f.view("stat", func(c *memContent) error {
		size = c.size
		return nil
	})
	return size, err
}

// DropCache does nothing: there is no cache.
func (f *memFile) DropCache() error { return f.view("fadvise", func(*memContent) error { return nil }) }

func (f *memFile) Close() error {
	return f.view("close", func(*memContent) error {
		f.closed = true
		return nil
	})
}
