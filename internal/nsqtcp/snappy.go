package nsqtcp

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
)

// Snappy's framing format: a stream identifier, then chunks, each with its type, its length (3 bytes, little-endian), a masked
// CRC-32C of what it decodes to, and the data, compressed or not. The encoder is ours because a library's keeps some hundred KiB
// for each stream, also while nothing is sent; this one keeps a bool. Decoding is the library's.
const (
	snappyIdentifier   = "\xff\x06\x00\x00sNaPpY"
	snappyCompressed   = 0x00
	snappyUncompressed = 0x01
	// snappyBlockSize is the most that a chunk may decode to, in bytes.
	snappyBlockSize = 64 << 10
	// snappyHeadSize is that of a chunk, with its checksum, in bytes.
	snappyHeadSize = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snappyWriter compresses each Write by itself, so that nothing is ever held back.
type snappyWriter struct {
	to    io.Writer
	pools *pools
	begun bool // the identifier is sent
}

// Write implements io.Writer.
func (w *snappyWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	out := w.pools.scratch()
	defer w.pools.keep(out)
	if !w.begun {
		w.begun = true
		out.bytes = append(out.bytes, snappyIdentifier...)
	}
	for written := 0; written < len(p); {
		block := p[written:min(written+snappyBlockSize, len(p))]
		out.bytes = appendSnappyChunk(out.bytes, block)
		if _, err := w.to.Write(out.bytes); err != nil {
			return written, err
		}
		out.bytes = out.bytes[:0]
		written += len(block)
	}
	return len(p), nil
}

// appendSnappyChunk adds a block of at most snappyBlockSize.
func appendSnappyChunk(out, block []byte) []byte {
	head := len(out)
	var room [snappyHeadSize]byte
	out = append(out, room[:]...)
	space := out[len(out):cap(out)]
	if most := s2.MaxEncodedLen(len(block)); len(space) < most {
		out = append(out, make([]byte, most)...)[:len(out)]
		space = out[len(out):cap(out)]
	}
	kind := byte(snappyCompressed)
	if packed := s2.EncodeSnappy(space, block); len(packed) < len(block) {
		out = out[:len(out)+len(packed)]
	} else {
		kind = snappyUncompressed
		out = append(out, block...)
	}
	binary.LittleEndian.PutUint32(out[head:], uint32(len(out)-head-4)<<8|uint32(kind))
	binary.LittleEndian.PutUint32(out[head+4:], snappyChecksum(block))
	return out
}

// snappyChecksum is the CRC-32C, rotated and offset as the format wants it.
func snappyChecksum(block []byte) uint32 {
	c := crc32.Checksum(block, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// newSnappyReader decompresses from r. A chunk that announces more than snappyBlockSize is refused before memory is taken for it;
// small chunks take little.
func newSnappyReader(r io.Reader) io.Reader {
	return s2.NewReader(bufio.NewReaderSize(r, minInputSize), s2.ReaderMaxBlockSize(snappyBlockSize), s2.ReaderAllocBlock(1<<10))
}

// scratch is a buffer that is used for one Write.
type scratch struct{ bytes []byte }

// pools hold what compressing needs while it is at it. Idle sessions hold none of it.
type pools struct {
	scratches sync.Pool
	deflaters [10]sync.Pool // by level
}

func (p *pools) scratch() *scratch {
	if s, ok := p.scratches.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

func (p *pools) keep(s *scratch) {
	s.bytes = s.bytes[:0]
	if cap(s.bytes) <= keptOutputSize {
		p.scratches.Put(s)
	}
}
