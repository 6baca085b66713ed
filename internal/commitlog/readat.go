package commitlog

import (
	"fmt"
	"io"
)

// tmpSuffix ends the names of unfinished files, as vfs.ReplaceFile names them.
const tmpSuffix = ".tmp"

// readAt returns n bytes from pos on, or those before the end of the file.
func readAt(f io.ReaderAt, pos, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := f.ReadAt(b, pos)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, pos, err)
	}
	return b[:got], nil
}
