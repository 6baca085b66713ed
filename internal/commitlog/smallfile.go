package commitlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/vfs"
)

const tmpSuffix = ".tmp"

// replaceFile writes a small file whole and durably: under a temporary name, synced, renamed into place, directory synced.
// A crash leaves the old content or the new.
func replaceFile(fsys vfs.FS, name string, content [][]byte) error {
	tmp := name + tmpSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteVec(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	return fsys.SyncDir(path.Dir(name))
}

// readFile returns the content of a file of at most limit bytes; of a longer one, limit+1 bytes, which no decoder accepts.
func readFile(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return readAt(f, 0, min(size, limit+1))
}

// readAt returns n bytes from pos on, or those before the end of the file.
func readAt(f io.ReaderAt, pos, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := f.ReadAt(b, pos)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, pos, err)
	}
	return b[:got], nil
}
