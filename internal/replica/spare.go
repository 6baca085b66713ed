package replica

import (
	"errors"
	"io/fs"
	"log/slog"
	"path"

	"github.com/weirmq/weir/internal/vfs"
)

// spareName is the file that only takes room, in the node's directory.
const spareName = "spare"

// spareShare bounds the spare file on a small disk: a hundredth of it.
const spareShare = 100

// spare is room on the disk that nobody else can take. The reserve keeps messages from filling a disk, but not other programs; and on a
// disk without a single free byte what is finished can neither be recorded nor deleted, so that it would stay full whatever consumers
// do. Then the file goes, and what it took is enough to record finishes and write the checkpoints that a deletion needs. It is
// made again when there is plenty.
//
// One goroutine at a time uses it.
type spare struct {
	options Options
	held    bool
}

// newSpare looks whether an earlier life left the file.
func newSpare(options Options) *spare {
	s := &spare{options: options}
	if options.SpareBytes > 0 {
		_, err := options.FS.Stat(s.name())
		s.held = err == nil
	}
	return s
}

func (s *spare) name() string { return path.Join(s.options.Dir, spareName) }

func (s *spare) size(usage vfs.Usage) int64 { return min(s.options.SpareBytes, usage.Total/spareShare) }

// giveUp removes the file if less than half of its size is free.
func (s *spare) giveUp(usage vfs.Usage) {
	if !s.held || usage.Free >= s.size(usage)/2 {
		return
	}
	if err := s.options.FS.Remove(s.name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.options.Logger.Error("cannot remove the spare file, and the disk is full", slog.Any("error", err))
		return
	}
	s.held = false
	s.options.Logger.Error("disk full: the spare file is given up, so that what is finished can still be recorded and deleted; free some space",
		slog.Int64("free_bytes", usage.Free), slog.Int64("spare_bytes", s.size(usage)))
}

// keep makes the file if it is missing and twice as much as it takes is free beyond the reserve.
func (s *spare) keep(usage vfs.Usage, reserve int64) {
	size := s.size(usage)
	if s.held || size <= 0 || usage.Free < reserve+2*size {
		return
	}
	var content [][]byte
	for left := size; left > 0; left -= int64(len(zeros)) {
		content = append(content, zeros[:min(left, int64(len(zeros)))])
	}
	if err := vfs.ReplaceFile(s.options.FS, s.name(), content); err != nil {
		return // the next look tries again
	}
	s.held = true
}

// zeros are what the file holds. A file system that stores zeros in no blocks keeps no room this way.
var zeros [256 << 10]byte
