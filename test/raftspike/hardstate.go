package raftspike

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/vfs"
)

// hardState is what Raft must not forget besides its entries. Its file is term, vote and a CRC-32C of both, big-endian.
type hardState struct {
	term, vote uint64
}

const hardStateBytes = 8 + 8 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// loadHardState reads a file, and returns the zero value if there is none.
func loadHardState(fsys vfs.FS, name string) (hardState, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return hardState{}, nil
	}
	if err != nil {
		return hardState{}, err
	}
	defer f.Close()
	var b [hardStateBytes]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return hardState{}, fmt.Errorf("read %s: %w", name, err)
	}
	if crc32.Checksum(b[:16], castagnoli) != binary.BigEndian.Uint32(b[16:]) {
		return hardState{}, fmt.Errorf("read %s: checksum mismatch", name)
	}
	return hardState{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}, nil
}

// save replaces the file; the new state is durable when it returns.
func (h hardState) save(fsys vfs.FS, name string) error {
	b := binary.BigEndian.AppendUint64(nil, h.term)
	b = binary.BigEndian.AppendUint64(b, h.vote)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	temporary := name + ".tmp"
	if err := fsys.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temporary, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}
