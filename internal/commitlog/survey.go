package commitlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// gap is a place of a segment that holds no intact frames.
type gap struct {
	from, to int64  // bytes
	reason   string // what is wrong at from
	before   logEnd // the log's end before it
	after    logEnd // what it leads to by the intact frame behind it
	tail     bool   // nothing intact follows in the file
}

// survey is a thorough look at one segment: all intact frames, and all that lies between.
type survey struct {
	seg    *segment
	gaps   []gap
	end    logEnd
	told   record.Index
	frames int
	last   int64 // position after the last intact frame
	size   int64
}

// surveySegment reads a segment whose header is known, past any damage.
func surveySegment(f vfs.File, s *segment) (*survey, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	v := &survey{seg: s, end: s.before, last: segmentHeaderSize, size: size}
	if s.salt == ([8]byte{}) { // damaged, and with it nothing in the file can be told from rubbish
		rand.Read(s.salt[:])
		s.seed = saltSeed(s.salt)
		v.gaps = []gap{{from: segmentHeaderSize, to: max(size, segmentHeaderSize), reason: "the segment's salt is lost",
			before: v.end, after: v.end, tail: true}}
		return v, nil
	}
	sc := &scanner{file: f, seed: s.seed, recycled: s.recycled, pos: segmentHeaderSize, limit: size, ahead: scanAheadBytes}
	for {
		fr, err := sc.next()
		if err == nil && fr.fits(v.end) {
			v.take(&fr)
			continue
		}
		var broken *brokenFrame
		switch {
		case err == io.EOF:
			return v, nil
		case err == nil:
			err = &brokenFrame{fr.pos, "a frame that does not follow the one before it"}
		case err != errUnwritten && !errors.As(err, &broken):
			return nil, err
		}
		if more, err := v.bridge(sc, err); err != nil || !more {
			return v, err
		}
	}
}

// fits reports whether the frame can follow directly behind end.
func (f *frame) fits(end logEnd) bool {
	switch f.kind {
	case kindMark:
		return f.markEnd() == end
	case kindLost:
		return f.index >= end.index && f.base >= end.next
	}
	return f.index == end.index+1 && f.base == end.next && f.term >= end.term && f.time >= end.time
}

func (v *survey) take(f *frame) {
	switch f.kind {
	case kindMark:
	case kindLost:
		v.end = f.markEnd()
	default:
		e := f.entry(f.payload)
		v.end = v.end.after(&e)
	}
	v.frames++
	v.last = f.end()
	v.told = max(v.told, f.durable)
}

// bridge looks for the next intact frame behind a broken place and notes the gap. It reports whether there is one. why is errUnwritten
// or a *brokenFrame.
func (v *survey) bridge(sc *scanner, why error) (bool, error) {
	g := gap{from: v.last, reason: reasonOf(why), before: v.end, after: v.end}
	unwritten := sc.recycled && why == errUnwritten
	used := v.size
	if !sc.recycled {
		var err error
		if used, err = sc.zerosFrom(v.last); err != nil || used == v.last {
			return false, err // only zeros written ahead
		}
	}
	sc.pos = v.last
	g.tail = true
	for {
		h, err := sc.skipToHeader(v.seg.base)
		if err == io.EOF && unwritten && g.tail {
			return false, nil
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		v.told = max(v.told, h.durable)
		at := sc.pos
		fr, err := sc.next()
		sc.pos = at
		if err != nil || at < v.last+frameHeaderSize { // before it there must be room for a frame
			continue
		}
		sc.pos = fr.end() - frameAlign
		// Of a block that was copied to another place, the frames come too late or too early: what counts is the lowest index that
		// continues the log.
		if after := fr.precedes(); after.index >= v.end.index && after.next >= v.end.next && (g.tail || after.index < g.after.index) {
			g.to, g.after, g.tail = at, after, false
		}
		if !g.tail && g.after.index == v.end.index {
			break
		}
	}
	if g.tail {
		g.to = used
		v.gaps = append(v.gaps, g)
		return false, nil
	}
	v.gaps = append(v.gaps, g)
	v.end, v.last, sc.pos = g.after, g.to, g.to
	return true, nil
}

// precedes returns the end of the log that an intact frame continues.
func (f *frame) precedes() logEnd {
	end := f.markEnd()
	if f.kind != kindMark && f.kind != kindLost {
		end.index--
	}
	return end
}

// headerOf reads the header of a segment. If it is damaged, what is needed of it comes from the name, the index file and the
// segment before.
func headerOf(fsys vfs.FS, s *segment, before *survey) (h segmentHeader, damage error, err error) {
	f, err := s.open(fsys)
	if err != nil {
		return h, nil, err
	}
	defer f.Close()
	b, err := readAt(f, 0, segmentHeaderSize)
	if err != nil {
		return h, nil, err
	}
	if h, damage = parseSegmentHeader(b); damage == nil && h.base == s.base {
		return h, nil, nil
	}
	if damage == nil {
		damage = fmt.Errorf("its base index is %d", h.base)
	}
	id, _ := parseLogID(path.Base(s.dir))
	// Whether the file is recycled is lost, too: it may be, so what is no frame of its own counts as unwritten.
	h = segmentHeader{id: id, base: s.base, salt: findSalt(fsys, f, s, b), recycled: true}
	if before != nil {
		h.before, h.previous = before.end, uint32(s.base-before.seg.base)
	}
	if before == nil || before.end.index+1 != s.base {
		h.before.index = s.base - 1
		if first, err := readAt(f, segmentHeaderSize, frameHeaderSize); err == nil {
			if fh, err := parseFrameHeader(first, saltSeed(h.salt)); err == nil && fh.kind != kindLost && fh.index == s.base {
				h.before.next, h.before.term, h.before.time = fh.base, fh.term, fh.time
			}
		}
	}
	return h, damage, nil
}

// findSalt returns the salt of a segment with a damaged header: that of the index file, or the header's if any frame proves it;
// else zeros.
func findSalt(fsys vfs.FS, f vfs.File, s *segment, header []byte) (salt [8]byte) {
	if side, err := vfs.ReadFile(fsys, s.name(indexSuffix), sidecarMaxBytes); err == nil {
		if _, salt, err := parseSidecar(side); err == nil {
			return salt
		}
	}
	if len(header) < segmentHeaderSize {
		return salt
	}
	size, err := f.Size()
	if err != nil {
		return salt
	}
	sc := &scanner{file: f, seed: saltSeed([8]byte(header[8:16])), pos: segmentHeaderSize - frameAlign, limit: size, ahead: scanAheadBytes}
	if _, err := sc.skipToHeader(0); err == nil {
		return [8]byte(header[8:16])
	}
	return salt
}

// stateFiles lists the checkpoints of a log by name, oldest first.
func stateFiles(fsys vfs.FS, dir string) ([]record.Index, error) {
	names, err := fsys.ReadDir(dir)
	var out []record.Index
	for _, name := range names {
		if at, ok := parseNumbered(name, stateSuffix); ok {
			out = append(out, record.Index(at))
		}
	}
	slices.Sort(out)
	return out, err
}

// segmentFiles lists the segments of a log by their names alone, oldest first.
func segmentFiles(fsys vfs.FS, dir string) ([]*segment, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []*segment
	for _, name := range names {
		base, sealed := parseNumbered(name, segmentSuffix)
		fresh := false
		if !sealed {
			base, fresh = parseNumbered(name, freshSuffix)
		}
		if sealed || fresh {
			s := &segment{segmentHeader: segmentHeader{base: record.Index(base)}, dir: dir}
			s.fresh.Store(fresh)
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b *segment) int { return int(min(1, max(-1, int64(a.base)-int64(b.base)))) })
	return out, nil
}
