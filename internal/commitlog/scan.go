package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/record"
)

// errUnwritten means that where a frame could begin the file was not written: there are zeros, written ahead of the tail, or in a
// recycled file what is left over from its earlier life.
var errUnwritten = errors.New("unwritten space instead of a frame")

// brokenFrame means that at pos there is something, but no intact frame.
type brokenFrame struct {
	pos    int64
	reason string
}

func (e *brokenFrame) Error() string {
	return fmt.Sprintf("no intact frame at byte %d: %s", e.pos, e.reason)
}

// frame is one intact frame of a file.
type frame struct {
	frameHeader
	pos     int64
	payload []byte // shares the scanner's buffer
}

// end returns the position after the frame.
func (f *frame) end() int64 { return f.pos + f.size() }

// scanner reads the frames of one segment one after another and checks every byte of them. It belongs to one goroutine.
type scanner struct {
	file io.ReaderAt
	seed uint32
	// recycled tells that the file had another life: what is no header of this one is unwritten space.
	recycled bool
	pos      int64 // of the next frame
	limit    int64 // frames end here at the latest
	ahead    int   // bytes to read at once at least

	buf   []byte // file bytes [bufAt, bufAt+len(buf))
	bufAt int64
}

// reset makes the scanner read another file, or another place, and keeps its buffer.
func (s *scanner) reset(file io.ReaderAt, seed uint32, pos, limit int64) {
	s.file, s.seed, s.pos, s.limit = file, seed, pos, limit
	s.buf, s.bufAt = s.buf[:0], 0
}

// next returns the frame at pos and moves on behind it. The frame's payload is valid until the following call. Errors:
// io.EOF at the limit, errUnwritten, *brokenFrame (pos stays), or that of the disk.
func (s *scanner) next() (frame, error) {
	if s.pos >= s.limit {
		return frame{}, io.EOF
	}
	b, err := s.peek(frameHeaderSize)
	if err != nil {
		return frame{}, err
	}
	h, err := parseFrameHeader(b, s.seed)
	if err != nil {
		if isZero(b) || s.recycled && (err == errFrameChecksum || err == errFrameShort) {
			return frame{}, errUnwritten
		}
		return frame{}, &brokenFrame{s.pos, err.Error()}
	}
	b, err = s.peek(int(h.size()))
	if err != nil {
		return frame{}, err
	}
	if int64(len(b)) < h.size() {
		return frame{}, &brokenFrame{s.pos, "payload cut short"}
	}
	payload := b[frameHeaderSize : frameHeaderSize+h.length : frameHeaderSize+h.length]
	if err := h.checkPayload(payload); err != nil {
		return frame{}, &brokenFrame{s.pos, err.Error()}
	}
	if !isZero(b[frameHeaderSize+h.length:]) {
		return frame{}, &brokenFrame{s.pos, "padding is not zero"}
	}
	f := frame{frameHeader: h, pos: s.pos, payload: payload}
	s.pos = f.end()
	return f, nil
}

// peek returns n bytes from pos on, fewer only at the limit or the end of the file.
func (s *scanner) peek(n int) ([]byte, error) {
	n = int(min(int64(n), s.limit-s.pos))
	from := s.pos - s.bufAt
	if from >= 0 && from+int64(n) <= int64(len(s.buf)) {
		return s.buf[from : from+int64(n)], nil
	}
	want := int(min(int64(max(n, s.ahead)), s.limit-s.pos))
	have := 0
	if from >= 0 && from < int64(len(s.buf)) {
		have = len(s.buf) - int(from)
	}
	old := s.buf
	if cap(s.buf) < want {
		s.buf = make([]byte, want)
	}
	s.buf = s.buf[:want]
	if have > 0 {
		copy(s.buf, old[from:])
	}
	got, err := s.file.ReadAt(s.buf[have:], s.pos+int64(have))
	s.bufAt, s.buf = s.pos, s.buf[:have+got]
	if err != nil && err != io.EOF {
		s.buf = s.buf[:0]
		return nil, err
	}
	return s.buf[:min(n, len(s.buf))], nil
}

// skipToHeader moves pos, 8 bytes at a time, to the next place from which an intact header can be read, and returns that
// header. It finds what was written behind a damaged place. It returns io.EOF when there is none before the limit.
func (s *scanner) skipToHeader(base record.Index) (frameHeader, error) {
	for s.pos += frameAlign; s.pos+frameHeaderSize <= s.limit; s.pos += frameAlign {
		b, err := s.peek(frameHeaderSize)
		if err != nil {
			return frameHeader{}, err
		}
		if len(b) < frameHeaderSize {
			break
		}
		if binary.BigEndian.Uint64(b) == 0 {
			continue
		}
		if h, err := parseFrameHeader(b, s.seed); err == nil && h.index+1 >= base {
			return h, nil
		}
	}
	return frameHeader{}, io.EOF
}

// zerosFrom reports where the last byte that is not zero ends, from pos on; pos if there is none.
func (s *scanner) zerosFrom(pos int64) (int64, error) {
	last := pos
	buf := make([]byte, 64<<10)
	for at := pos; at < s.limit; {
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), s.limit-at)], at)
		for i := n; i > 0; i-- {
			if buf[i-1] != 0 {
				last = at + int64(i)
				break
			}
		}
		at += int64(n)
		if err == io.EOF || n == 0 {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return last, nil
}

func isZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
