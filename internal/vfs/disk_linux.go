package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// maxVec is the most buffers that one pwritev takes.
const maxVec = 1024

func pwritev(fd int, bufs [][]byte, off int64) (int, error) { return unix.Pwritev(fd, bufs, off) }

func fdatasync(fd int) error { return unix.Fdatasync(fd) }

// syncfs also writes back what other programs wrote to the same file system. Linux reports write-back errors through it
// since 5.8.
func syncfs(dir *os.File) error { return unix.Syncfs(int(dir.Fd())) }

func dropCache(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) }
