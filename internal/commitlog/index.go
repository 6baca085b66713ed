package commitlog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

// indexStepBytes is how far apart the entries of a sparse index are at least.
const indexStepBytes = 16 << 10

// indexPoint is one line of a sparse index: an entry that begins at pos.
type indexPoint struct {
	index  record.Index
	offset record.Offset // base of the entry
	time   int64         // Unix ns
	pos    int64
}

// termRun says that entries from index on have term, until the next run.
type termRun struct {
	index record.Index
	term  record.Term
}

// sparseIndex finds entries of one segment by index, offset, time. It can always be rebuilt from the segment. The active
// segment's grows under its log's mutex; others are immutable.
type sparseIndex struct {
	points []indexPoint
	terms  []termRun
	end    int64 // position after the last frame that is indexed
	last   logEnd
}

// add appends an entry whose frame begins at pos.
func (x *sparseIndex) add(e *frameHeader, next record.Offset, pos int64) {
	if n := len(x.points); n == 0 || pos-x.points[n-1].pos >= indexStepBytes {
		x.points = append(x.points, indexPoint{e.index, e.base, e.time, pos})
	}
	if n := len(x.terms); n == 0 || x.terms[n-1].term != e.term {
		x.terms = append(x.terms, termRun{e.index, e.term})
	}
	x.end = pos + e.size()
	x.last = logEnd{e.index, next, e.term, e.time}
}

// byOffset returns the position of the last point at or before offset, or the first frame's.
func (x *sparseIndex) byOffset(offset record.Offset) int64 {
	// Several entries can have one base: a control entry has that of the next batch. The batch comes last.
	return x.before(sort.Search(len(x.points), func(i int) bool { return x.points[i].offset >= offset }), func(p indexPoint) bool {
		return p.offset == offset
	})
}

// byIndex returns the position of the last point at or before index, or the first frame's.
func (x *sparseIndex) byIndex(index record.Index) int64 {
	return x.before(sort.Search(len(x.points), func(i int) bool { return x.points[i].index > index }), nil)
}

// byTime returns the position of the last point older than time, or the first frame's.
func (x *sparseIndex) byTime(time int64) int64 {
	return x.before(sort.Search(len(x.points), func(i int) bool { return x.points[i].time >= time }), nil)
}

// before returns the position of point i-1, or of point i if exact accepts it.
func (x *sparseIndex) before(i int, exact func(indexPoint) bool) int64 {
	switch {
	case exact != nil && i < len(x.points) && exact(x.points[i]):
		return x.points[i].pos
	case i == 0:
		return segmentHeaderSize
	}
	return x.points[i-1].pos
}

// term returns the term of an entry of the segment.
func (x *sparseIndex) term(index record.Index) record.Term {
	i := sort.Search(len(x.terms), func(i int) bool { return x.terms[i].index > index })
	if i == 0 {
		return 0
	}
	return x.terms[i-1].term
}

// sizeBytes is what the index takes in memory, about.
func (x *sparseIndex) sizeBytes() int64 { return int64(cap(x.points)*32+cap(x.terms)*16) + 128 }

// The sidecar file, docs/format/index.md.
const (
	sidecarMagic      = "WIDX"
	sidecarHeaderSize = 64
	sidecarMaxBytes   = 64 << 20
)

// encode returns the sidecar of the segment with header h.
func (x *sparseIndex) encode(h *segmentHeader) []byte {
	b := make([]byte, sidecarHeaderSize, sidecarHeaderSize+32*len(x.points)+16*len(x.terms)+4)
	copy(b, sidecarMagic)
	b[4] = formatVersion
	copy(b[8:], h.salt[:])
	for i, v := range []uint64{uint64(x.end), uint64(x.last.index), uint64(x.last.next), uint64(x.last.term), uint64(x.last.time)} {
		binary.BigEndian.PutUint64(b[16+8*i:], v)
	}
	binary.BigEndian.PutUint32(b[56:], uint32(len(x.points)))
	binary.BigEndian.PutUint32(b[60:], uint32(len(x.terms)))
	for _, p := range x.points {
		for _, v := range []uint64{uint64(p.index), uint64(p.offset), uint64(p.time), uint64(p.pos)} {
			b = binary.BigEndian.AppendUint64(b, v)
		}
	}
	for _, t := range x.terms {
		b = binary.BigEndian.AppendUint64(b, uint64(t.index))
		b = binary.BigEndian.AppendUint64(b, uint64(t.term))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errSidecar = errors.New("index file does not fit its segment")

// parseSidecar decodes and checks a sidecar. The salt tells whose it is.
func parseSidecar(b []byte) (x *sparseIndex, salt [8]byte, err error) {
	if len(b) < sidecarHeaderSize+4 || string(b[:4]) != sidecarMagic || b[4] != formatVersion {
		return nil, salt, errSidecar
	}
	points, terms := int64(binary.BigEndian.Uint32(b[56:])), int64(binary.BigEndian.Uint32(b[60:]))
	if int64(len(b)) != sidecarHeaderSize+32*points+16*terms+4 {
		return nil, salt, errSidecar
	}
	if binary.BigEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], castagnoli) {
		return nil, salt, errSidecar
	}
	u64 := func(at int64) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	x = &sparseIndex{
		points: make([]indexPoint, points), terms: make([]termRun, terms),
		end:  int64(u64(16)),
		last: logEnd{record.Index(u64(24)), record.Offset(u64(32)), record.Term(u64(40)), int64(u64(48))},
	}
	at := int64(sidecarHeaderSize)
	for i := range x.points {
		x.points[i] = indexPoint{record.Index(u64(at)), record.Offset(u64(at + 8)), int64(u64(at + 16)), int64(u64(at + 24))}
		at += 32
	}
	for i := range x.terms {
		x.terms[i] = termRun{record.Index(u64(at)), record.Term(u64(at + 8))}
		at += 16
	}
	return x, [8]byte(b[8:16]), x.check()
}

// check refuses an index that could not have been built: positions must rise within the file.
func (x *sparseIndex) check() error {
	if x.end < segmentHeaderSize || x.last.next < 0 {
		return errSidecar
	}
	for i, p := range x.points {
		if p.pos < segmentHeaderSize || p.pos >= x.end || p.index > x.last.index || p.offset < 0 {
			return errSidecar
		}
		if i > 0 && (p.pos <= x.points[i-1].pos || p.index <= x.points[i-1].index) {
			return errSidecar
		}
	}
	return nil
}
