package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Disk returns the real file system of the machine. Paths are the operating system's. It keeps no state: any number of
// values may be used side by side.
func Disk() FS { return disk{} }

type disk struct{}

func (disk) Create(name string) (File, error) {
	return openDisk(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (disk) Open(name string) (File, error) { return openDisk(name, os.O_RDONLY) }

func (disk) OpenWrite(name string) (File, error) { return openDisk(name, os.O_RDWR) }

func (disk) Rename(oldName, newName string) error { return diskError(os.Rename(oldName, newName)) }

func (disk) Remove(name string) error { return diskError(os.Remove(name)) }

func (disk) RemoveAll(name string) error { return diskError(os.RemoveAll(name)) }

func (disk) MkdirAll(name string) error { return diskError(os.MkdirAll(name, 0o700)) }

func (disk) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name) // sorted by name
	if err != nil {
		return nil, diskError(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (disk) Stat(name string) (Info, error) {
	st, err := os.Stat(name)
	if err != nil {
		return Info{}, diskError(err)
	}
	if st.IsDir() {
		return Info{IsDir: true}, nil
	}
	return Info{Size: st.Size()}, nil
}

func (disk) SyncDir(name string) error {
	d, err := openDir(name)
	if err != nil {
		return diskError(err)
	}
	return diskError(errors.Join(d.Sync(), d.Close()))
}

// openDir opens a directory. Where no descriptor is free it waits for one, as long as descriptorPatience: what waits for this sync has
// been written, and a failure would be final.
func openDir(name string) (*os.File, error) {
	for begun := time.Now(); ; time.Sleep(descriptorPause) {
		d, err := os.Open(name)
		if !errors.Is(diskError(err), ErrTooManyFiles) || time.Since(begun) > descriptorPatience {
			return d, err
		}
	}
}

const (
	descriptorPause    = 5 * time.Millisecond
	descriptorPatience = 2 * time.Second
)

// SyncAll is syncfs. On macOS it reports errors.ErrUnsupported.
func (disk) SyncAll(name string) error {
	d, err := openDir(name)
	if err != nil {
		return diskError(err)
	}
	err = ignoringEINTR(func() error { return syncfs(d) })
	if err != nil {
		err = &fs.PathError{Op: "syncfs", Path: name, Err: err}
	}
	return diskError(errors.Join(err, d.Close()))
}

// Lock is flock on a descriptor of its own, so that a second Lock in the same process fails too.
func (disk) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, diskError(err)
	}
	err = ignoringEINTR(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil {
		return f, nil
	}
	_ = f.Close() // nothing was written; the flock error is what matters
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	return nil, fmt.Errorf("lock %s: %w", name, err)
}

func (disk) Usage(name string) (Usage, error) {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Statfs(name, &st) }); err != nil {
		return Usage{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	block := int64(st.Bsize)
	return Usage{Total: int64(st.Blocks) * block, Free: int64(st.Bavail) * block}, nil
}

// diskError adds this package's sentinels to an error of the operating system; fs.ErrNotExist and fs.ErrExist are
// recognised by errors.Is as they are.
func diskError(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return fmt.Errorf("%w: %w", ErrTooManyFiles, err)
	}
	return err
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// diskFile is one open file. System calls go through raw, which keeps the descriptor from being closed, and its number
// from being reused for another file, while a call is under way.
type diskFile struct {
	f   *os.File
	raw syscall.RawConn
}

func openDisk(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, diskError(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &diskFile{f: f, raw: raw}, nil
}

func (d *diskFile) ReadAt(p []byte, off int64) (int, error) { return d.f.ReadAt(p, off) }

func (d *diskFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := d.f.WriteAt(p, off)
	return n, diskError(err)
}

func (d *diskFile) Sync() error {
	return d.call("fdatasync", func(fd int) error {
		return ignoringEINTR(func() error { return fdatasync(fd) })
	})
}

func (d *diskFile) Truncate(size int64) error { return diskError(d.f.Truncate(size)) }

func (d *diskFile) Size() (int64, error) {
	st, err := d.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (d *diskFile) DropCache() error {
	return d.call("fadvise", dropCache)
}

func (d *diskFile) Close() error { return d.f.Close() }

// call runs a system call on the file's descriptor.
func (d *diskFile) call(op string, fn func(fd int) error) error {
	var result error
	if err := d.raw.Control(func(fd uintptr) { result = fn(int(fd)) }); err != nil {
		return err // closed
	}
	if result != nil {
		return diskError(&fs.PathError{Op: op, Path: d.f.Name(), Err: result})
	}
	return nil
}
