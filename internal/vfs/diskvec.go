package vfs

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// WriteVec writes with pwritev: on Linux one system call, unless there are more than maxVec buffers or the kernel writes
// short.
func (d *diskFile) WriteVec(bufs [][]byte, off int64) (int, error) {
	total := 0
	err := d.call("pwritev", func(fd int) error {
		var err error
		total, err = writeVec(fd, bufs, off, maxVec)
		return err
	})
	return total, err
}

// writeVec writes all of bufs in calls of at most limit buffers. After a short write it finishes the buffer that was cut
// with plain pwrites and goes on with the next.
func writeVec(fd int, bufs [][]byte, off int64, limit int) (total int, err error) {
	for len(bufs) > 0 {
		if len(bufs[0]) == 0 {
			bufs = bufs[1:]
			continue
		}
		n, err := retryWrite(func() (int, error) {
			return pwritev(fd, bufs[:min(len(bufs), limit)], off+int64(total))
		})
		total += n
		if err != nil {
			return total, err
		}
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if n == 0 {
			continue
		}
		rest := bufs[0][n:]
		bufs = bufs[1:]
		for len(rest) > 0 {
			n, err := retryWrite(func() (int, error) { return unix.Pwrite(fd, rest, off+int64(total)) })
			total += n
			if err != nil {
				return total, err
			}
			rest = rest[n:]
		}
	}
	return total, nil
}

// retryWrite repeats a write that a signal interrupted, and turns a write of nothing into an error so that no loop can
// run for ever.
func retryWrite(write func() (int, error)) (int, error) {
	for {
		n, err := write()
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return max(n, 0), err
		case n == 0:
			return 0, io.ErrShortWrite
		}
		return n, nil
	}
}
