package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// On macOS Weir is for trying out and developing: it is correct there, not fast.

const maxVec = 1

func pwritev(fd int, bufs [][]byte, off int64) (int, error) { return unix.Pwrite(fd, bufs[0], off) }

// fdatasync asks the drive too, which fsync does not do on macOS.
func fdatasync(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_FULLFSYNC, 0)
	return err
}

// syncfs is not to be had for one file system: sync does not wait, so callers must sync file by file.
func syncfs(*os.File) error { return errors.ErrUnsupported }

func dropCache(int) error { return nil }
