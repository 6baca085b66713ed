package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// formatVersion is the version of every file of this package.
const formatVersion = 1

// The segment header, docs/format/segment.md.
const (
	segmentHeaderSize = 64
	segmentMagic      = "WSEG"
	flagDurableBefore = 1 // all entries before this segment were durable when it was made
	flagRecycled      = 2 // the file had another life: what is behind the last frame is left over from it

	segmentSuffix = ".log"
	freshSuffix   = ".new"
	indexSuffix   = ".index"
	stateSuffix   = ".state"
)

// segmentHeader is the head of a segment's file. It repeats the end of the log before the segment, so that opening a log
// reads no segment but the last.
type segmentHeader struct {
	id            LogID
	salt          [8]byte
	base          record.Index // of the first entry
	before        logEnd       // before.index is base-1
	previous      uint32       // entries between the base of the segment before and this one's; 0 if there is none
	durableBefore bool
	recycled      bool // behind the last frame there may be anything
}

func (h *segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderSize)
	copy(b, segmentMagic)
	b[4] = formatVersion
	if h.durableBefore {
		b[5] |= flagDurableBefore
	}
	if h.recycled {
		b[5] |= flagRecycled
	}
	binary.BigEndian.PutUint16(b[6:], h.id.Partition)
	copy(b[8:], h.salt[:])
	binary.BigEndian.PutUint64(b[16:], h.id.Topic)
	binary.BigEndian.PutUint64(b[24:], uint64(h.base))
	binary.BigEndian.PutUint64(b[32:], uint64(h.before.next))
	binary.BigEndian.PutUint64(b[40:], uint64(h.before.term))
	binary.BigEndian.PutUint64(b[48:], uint64(h.before.time))
	binary.BigEndian.PutUint32(b[56:], h.previous)
	binary.BigEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func parseSegmentHeader(b []byte) (segmentHeader, error) {
	if len(b) < segmentHeaderSize {
		return segmentHeader{}, errors.New("segment header cut short")
	}
	b = b[:segmentHeaderSize]
	if string(b[:4]) != segmentMagic {
		return segmentHeader{}, errors.New("not a segment")
	}
	if binary.BigEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return segmentHeader{}, errors.New("checksum of the segment header does not match")
	}
	if b[4] != formatVersion {
		return segmentHeader{}, fmt.Errorf("segment of format version %d, this program knows %d", b[4], formatVersion)
	}
	h := segmentHeader{
		id:   LogID{Topic: binary.BigEndian.Uint64(b[16:]), Partition: binary.BigEndian.Uint16(b[6:])},
		salt: [8]byte(b[8:16]),
		base: record.Index(binary.BigEndian.Uint64(b[24:])),
		before: logEnd{
			next: record.Offset(binary.BigEndian.Uint64(b[32:])),
			term: record.Term(binary.BigEndian.Uint64(b[40:])),
			time: int64(binary.BigEndian.Uint64(b[48:])),
		},
		previous:      binary.BigEndian.Uint32(b[56:]),
		durableBefore: b[5]&flagDurableBefore != 0,
		recycled:      b[5]&flagRecycled != 0,
	}
	if h.base == 0 || h.before.next < 0 || record.Index(h.previous) >= h.base {
		return segmentHeader{}, errors.New("segment header contradicts itself")
	}
	h.before.index = h.base - 1
	return h, nil
}

// segment is one file of a log as its readers see it. The header never changes. Of the active segment, end, last and index
// grow under the log's mutex; a sealed one is immutable, and its index is in the store's index cache.
type segment struct {
	segmentHeader
	seed uint32
	dir  string

	end    int64        // position after the last frame
	last   logEnd       // after the last entry
	index  *sparseIndex // of the active segment, else nil
	sealed bool

	fresh atomic.Bool // the file still has its .new name: nothing in it was ever known durable
	gone  atomic.Bool // trimmed, cut or replaced: a read that fails must look the offset up again
}

func newSegment(dir string, h segmentHeader) *segment {
	return &segment{segmentHeader: h, seed: saltSeed(h.salt), dir: dir, end: segmentHeaderSize, last: h.before}
}

// empty reports whether the segment holds no entry.
func (s *segment) empty() bool { return s.last.index < s.base }

// path returns the name of the file as of now.
func (s *segment) path() string {
	if s.fresh.Load() {
		return s.name(freshSuffix)
	}
	return s.name(segmentSuffix)
}

func (s *segment) name(suffix string) string { return numberedName(s.dir, uint64(s.base), suffix) }

// open opens the file for reading, also while it gets its final name.
func (s *segment) open(fsys vfs.FS) (vfs.File, error) {
	name := s.path()
	f, err := fsys.Open(name)
	if final := s.name(segmentSuffix); errors.Is(err, fs.ErrNotExist) && name != final {
		f, err = fsys.Open(final)
	}
	return f, err
}

// damage returns the error that reports broken bytes of the segment.
func (s *segment) damage(pos int64, reason string) error {
	return &DamageError{Path: s.path(), Pos: pos, Reason: reason}
}

// numberedName is the path of a segment, sidecar or checkpoint: 20 decimal digits and the suffix.
func numberedName(dir string, n uint64, suffix string) string {
	return path.Join(dir, fmt.Sprintf("%020d%s", n, suffix))
}

// parseNumbered is the inverse of numberedName for a name without its directory.
func parseNumbered(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}
