package damage

import (
	"bytes"
	"encoding/binary"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// frames is what a log held before it was damaged, read by the letter of docs/format and with nothing of the program's own code: the
// test's idea of what may be lost must not come from what it tests.
type frames struct {
	list     []frame
	segments map[string]header // by file
	states   map[string]state  // by file
}

// frame is one frame of a segment.
type frame struct {
	file        string
	pos, end    int
	kind        byte
	index       uint64
	first, next record.Offset // of a batch's messages
	durable     uint64
	bytes       []byte
}

type header struct {
	base          uint64
	durableBefore bool
	bytes         []byte
}

type state struct {
	at    uint64
	bytes []byte
}

const (
	headerBytes = 64
	frameBytes  = 56
	kindBatch   = 1
	kindMark    = 16
)

// readFrames reads a log that is intact.
func readFrames(t testing.TB, disk vfs.FS, dir string) *frames {
	out := &frames{segments: map[string]header{}, states: map[string]state{}}
	for _, name := range walk(disk, dir) {
		b := read(disk, name)
		if number, ok := strings.CutSuffix(path.Base(name), ".state"); ok {
			at, err := strconv.ParseUint(number, 10, 64)
			must(t, err)
			out.states[name] = state{at, b}
		}
		if !isSegment(name) {
			continue
		}
		out.segments[name] = header{binary.BigEndian.Uint64(b[24:]), b[5]&1 != 0, b[:headerBytes]}
		for pos := headerBytes; pos+frameBytes <= len(b) && binary.BigEndian.Uint32(b[pos:]) != 0; {
			h := b[pos:]
			length := int(binary.BigEndian.Uint32(h[4:]))
			f := frame{file: name, pos: pos, end: pos + (frameBytes+length+7)/8*8, kind: h[8], index: binary.BigEndian.Uint64(h[24:]),
				first: record.Offset(binary.BigEndian.Uint64(h[32:])), durable: binary.BigEndian.Uint64(h[48:])}
			f.next = f.first
			if f.kind == kindBatch {
				f.next += record.Offset(binary.BigEndian.Uint32(h[frameBytes+57:]))
			}
			f.bytes = b[f.pos:f.end]
			out.list = append(out.list, f)
			pos = f.end
		}
	}
	return out
}

// intact tells whether a frame is where it was, as it was.
func (f *frame) intact(content []byte) bool {
	return len(content) >= f.end && bytes.Equal(content[f.pos:f.end], f.bytes)
}

// outlook is what a damaged log leaves to hope for.
type outlook struct {
	// durable is the highest index that anything intact says was durable.
	durable uint64
	// missing is the lowest index of an entry that is not intact, 0 if all are.
	missing uint64
	// intact tells of which messages the frames are intact, in files whose salt is, too.
	intact map[record.Offset]bool
	// entryOf is the index of the entry that holds a message.
	entryOf map[record.Offset]uint64
	// headers tells that all segments are there with intact headers, under their names.
	headers bool
}

// look compares a log with what it was.
func (l *frames) look(disk vfs.FS) outlook {
	o := outlook{intact: map[record.Offset]bool{}, entryOf: map[record.Offset]uint64{}, headers: true}
	now := map[string][]byte{}
	for name, h := range l.segments {
		b := read(disk, name)
		if len(b) < headerBytes || !bytes.Equal(b[8:16], h.bytes[8:16]) { // nothing in it can be told from rubbish
			o.headers = false
			continue
		}
		now[name] = b
		if !bytes.Equal(b[:headerBytes], h.bytes) {
			o.headers = false
		} else if h.durableBefore {
			o.durable = max(o.durable, h.base-1)
		}
	}
	for name, s := range l.states {
		if bytes.Equal(read(disk, name), s.bytes) {
			o.durable = max(o.durable, s.at)
		}
	}
	for i := range l.list {
		f := &l.list[i]
		intact := f.intact(now[f.file])
		for m := f.first; m < f.next; m++ {
			o.intact[m], o.entryOf[m] = intact, f.index
		}
		switch {
		case intact:
			o.durable = max(o.durable, f.durable)
		case f.kind != kindMark && (o.missing == 0 || f.index < o.missing):
			o.missing = f.index
		}
	}
	return o
}
