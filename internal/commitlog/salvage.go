package commitlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// salvagedName is the folder of a log's directory in which Salvage keeps files that are not intact.
const salvagedName = "damaged"

// Problem is something that is not intact in a log's directory.
type Problem struct {
	Path   string
	Pos    int64 // first byte concerned
	Bytes  int64 // how many; 0 for the whole file
	Reason string
	Action string // what Salvage does about it, or did

	// What is lost: entries [FirstIndex, LastIndex] and messages [First, Next). None if LastIndex is below FirstIndex.
	FirstIndex, LastIndex record.Index
	First, Next           record.Offset
}

// Report is what Salvage found in a log's directory.
type Report struct {
	Dir      string
	Segments int
	Frames   int
	Bytes    int64        // of all segments
	First    record.Index // of the oldest entry
	Last     record.Index // of the newest intact entry
	Start    record.Offset
	Next     record.Offset
	Problems []Problem
}

// Salvage makes a damaged log usable again without giving up what lies behind the damage, as Repair does: everything intact
// stays, a place that is not becomes a frame that says which entries and messages are lost, and the files as they were are kept
// in the folder damaged of dir. With dryRun it only reports. It must not run while a Store has the directory open. Readers
// get a *LostError for messages that are lost, and Replay leaves lost entries out: the changes of state in them are lost, too.
func Salvage(fsys vfs.FS, dir string, dryRun bool) (*Report, error) {
	r := &salvage{fs: fsys, dir: dir, dryRun: dryRun, report: &Report{Dir: dir}}
	if err := r.run(); err != nil {
		return r.report, fmt.Errorf("salvage %s: %w", dir, err)
	}
	return r.report, nil
}

// salvage walks through a log's files once, oldest first.
type salvage struct {
	fs     vfs.FS
	dir    string
	dryRun bool
	report *Report
	last   *survey // of the segment before
	told   record.Index
}

func (r *salvage) run() error {
	segments, err := segmentFiles(r.fs, r.dir)
	if err != nil {
		return err
	}
	first, err := r.identity(segments)
	if err != nil {
		return err
	}
	for i, s := range segments {
		if s.base < first {
			continue // trimmed; the next start removes it
		}
		next, err := r.headerAfter(segments[i+1:])
		if err != nil {
			return err
		}
		if err := r.segment(s, next); err != nil {
			return err
		}
	}
	if r.last != nil {
		r.report.Last, r.report.Next = r.last.end.index, r.last.end.next
	}
	if err := r.states(); err != nil || r.dryRun {
		return err
	}
	return r.fs.SyncDir(r.dir)
}

// identity checks the identity file and returns the log's first index.
func (r *salvage) identity(segments []*segment) (record.Index, error) {
	id, ok := parseLogID(path.Base(r.dir))
	if !ok {
		return 0, fmt.Errorf("%s is not the name of a log's directory", path.Base(r.dir))
	}
	v, err := loadIdentity(r.fs, r.dir, id)
	var damage *DamageError
	if err != nil && !errors.As(err, &damage) && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	name := path.Join(r.dir, identityName)
	oldest := v.first
	if len(segments) > 0 && (err != nil || segments[0].base > v.first) {
		oldest = segments[0].base
	}
	oldest = max(oldest, 1)
	if err == nil && oldest == v.first {
		return oldest, nil
	}
	p := Problem{Path: name, Reason: "the log's first segment is missing", Action: "the log begins with what is there",
		FirstIndex: v.first, LastIndex: oldest - 1}
	if err != nil {
		p.Reason, p.Action, p.FirstIndex = err.Error(), "written anew", oldest
	}
	r.report.Problems = append(r.report.Problems, p)
	if r.dryRun {
		return oldest, nil
	}
	if err != nil {
		if err := r.aside(name); err != nil {
			return 0, err
		}
	}
	return oldest, identity{id: id, first: oldest}.save(r.fs, r.dir)
}

// headerAfter returns the header of the following segment; nil if there is none, or if it is damaged, too.
func (r *salvage) headerAfter(rest []*segment) (*segmentHeader, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	h, damage, err := headerOf(r.fs, rest[0], nil)
	if damage != nil || err != nil {
		return nil, err
	}
	return &h, nil
}

// segment surveys s, fills a hole before it, and replaces it if it is not intact. next is the header behind it, if known.
func (r *salvage) segment(s *segment, next *segmentHeader) error {
	h, damage, err := headerOf(r.fs, s, r.last)
	if err != nil {
		return err
	}
	if damage != nil && s.fresh.Load() {
		return nil // never synced; the next start removes it
	}
	seg := newSegment(r.dir, h)
	seg.fresh.Store(s.fresh.Load())
	f, err := seg.open(r.fs)
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := surveySegment(f, seg)
	if err != nil {
		return err
	}
	if err := r.hole(v); err != nil {
		return err
	}
	if r.last == nil {
		r.report.First, r.report.Start = seg.base, h.before.next
	}
	r.told = max(r.told, v.told)
	r.report.Segments++
	r.report.Frames += v.frames
	r.report.Bytes += v.size
	changed := r.judge(v, damage, next)
	r.last = v
	if !changed || r.dryRun {
		return nil
	}
	return r.rewrite(f, v)
}

// judge turns what is wrong with a segment into problems, and reports whether it has to be rewritten.
func (r *salvage) judge(v *survey, damage error, next *segmentHeader) (rewrite bool) {
	if damage != nil {
		r.report.Problems = append(r.report.Problems, Problem{Path: v.seg.path(), Bytes: segmentHeaderSize, Reason: damage.Error(),
			Action: "header written anew from the files beside it"})
		rewrite = true
	}
	for i := range v.gaps {
		g := &v.gaps[i]
		p := Problem{Path: v.seg.path(), Pos: g.from, Bytes: g.to - g.from, Reason: g.reason,
			FirstIndex: g.before.index + 1, LastIndex: g.after.index, First: g.before.next, Next: g.after.next}
		if g.tail && next == nil && damage == nil && max(r.told, v.told) <= v.end.index {
			g.torn = true
			p.LastIndex, p.Next = g.before.index, g.before.next
			p.Action = "left to the next start, which cuts it: it was never known to be durable"
		} else {
			p.Action = "replaced by a frame that says what is lost"
			rewrite = true
			if g.tail {
				v.endAt(g, next, max(v.told, r.told))
				p.LastIndex, p.Next = g.after.index, g.after.next
			}
		}
		r.report.Problems = append(r.report.Problems, p)
	}
	return rewrite
}

// endAt decides what a gap at the end of a file has lost: all up to the next segment, else as much as may have been there, so that
// no index and no offset is used twice.
func (v *survey) endAt(g *gap, next *segmentHeader, told record.Index) {
	if next != nil && next.before.index >= g.before.index {
		g.after = next.before
	} else {
		bytes := max(0, g.to-g.from)
		g.after = g.before
		g.after.index = max(told, g.before.index+record.Index(bytes/frameHeaderSize))
		g.after.next += record.Offset(bytes)
	}
	v.end = g.after
}

// hole fills the place of segments that are missing before v, or of entries missing at the end of the one before.
func (r *salvage) hole(v *survey) error {
	if r.last == nil || r.last.end.index == v.seg.before.index {
		return nil
	}
	end := r.last.end
	if end.index > v.seg.before.index {
		return fmt.Errorf("%s begins with entry %d, but there are entries up to %d before it: "+
			"remove one of the two", v.seg.path(), v.seg.base, end.index)
	}
	r.report.Problems = append(r.report.Problems, Problem{
		Path: r.last.seg.path(), Pos: r.last.last, Reason: fmt.Sprintf("no entries between it and %s", path.Base(v.seg.path())),
		Action:     "a segment is added that says what is lost",
		FirstIndex: end.index + 1, LastIndex: v.seg.before.index, First: end.next, Next: v.seg.before.next,
	})
	h := segmentHeader{id: v.seg.id, base: end.index + 1, before: end, previous: uint32(end.index + 1 - r.last.seg.base)}
	rand.Read(h.salt[:])
	g := gap{from: segmentHeaderSize, to: segmentHeaderSize + frameHeaderSize, before: end, after: v.seg.before}
	filler := &survey{seg: newSegment(r.dir, h), gaps: []gap{g}, end: v.seg.before}
	v.seg.previous = uint32(v.seg.base - h.base)
	if !r.dryRun {
		if err := r.write(filler.seg, [][]byte{h.encode(), lostFrame(filler.seg, &g)}); err != nil {
			return err
		}
		// The segment behind must name its new predecessor.
		if err := r.reheader(v.seg); err != nil {
			return err
		}
	}
	r.last = filler
	return nil
}

// reheader writes the header of a segment in place. All else in it stays.
func (r *salvage) reheader(s *segment) error {
	f, err := r.fs.OpenWrite(s.path())
	if err != nil {
		return err
	}
	_, err = f.WriteAt(s.encode(), 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// rewrite replaces a segment by a copy in which gaps are lost frames. Positions stay, so what is intact is copied as it is.
func (r *salvage) rewrite(f vfs.File, v *survey) error {
	b, err := readAt(f, 0, v.size)
	if err != nil {
		return err
	}
	// The original is copied aside before it is replaced: a crash in between must not make it look missing.
	dir := path.Join(r.dir, salvagedName)
	if err := errors.Join(r.fs.MkdirAll(dir), r.fs.SyncDir(r.dir)); err != nil {
		return err
	}
	if err := replaceFile(r.fs, damagedPath(v.seg.path()), [][]byte{b}); err != nil {
		return err
	}
	b = append(b, make([]byte, max(0, segmentHeaderSize-len(b)))...)
	copy(b, v.seg.encode())
	for i := range v.gaps {
		g := &v.gaps[i]
		switch {
		case g.to-g.from > MaxPayload:
			return fmt.Errorf("%s: %d damaged bytes in a row are more than one frame can replace", v.seg.path(), g.to-g.from)
		case g.torn:
		case g.tail:
			b = append(b[:g.from:g.from], lostFrame(v.seg, &gap{from: g.from, to: g.from + frameHeaderSize, before: g.before, after: g.after})...)
		default:
			copy(b[g.from:g.to], lostFrame(v.seg, g))
		}
	}
	return r.write(v.seg, [][]byte{b})
}

// write makes a file for seg, under its current name.
func (r *salvage) write(seg *segment, content [][]byte) error {
	if err := r.fs.Remove(seg.name(indexSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replaceFile(r.fs, seg.path(), content)
}

// lostFrame returns a frame that fills a gap.
func lostFrame(s *segment, g *gap) []byte {
	b := make([]byte, g.to-g.from)
	end := g.after
	end.term, end.time = max(end.term, g.before.term), max(end.time, g.before.time)
	h := end.markHeader(g.before.index)
	h.kind, h.length = kindLost, len(b)-frameHeaderSize
	h.payloadCRC = payloadChecksum(kindLost, b[frameHeaderSize:])
	putFrameHeader(b, &h, s.seed)
	return b
}

// states reports checkpoints that are damaged or of entries that are no more, and moves them aside.
func (r *salvage) states() error {
	states, err := stateFiles(r.fs, r.dir)
	if err != nil {
		return err
	}
	for _, at := range states {
		name := numberedName(r.dir, uint64(at), stateSuffix)
		b, err := readFile(r.fs, name, 1<<40)
		if err != nil {
			return err
		}
		c, err := parseCheckpoint(b)
		switch {
		case err == nil && c.at != at:
			err = fmt.Errorf("it is of entry %d", c.at)
		case err == nil && at > r.report.Last:
			err = fmt.Errorf("the log ends before it, with entry %d", r.report.Last)
		case err == nil:
			continue
		}
		r.report.Problems = append(r.report.Problems, Problem{Path: name, Reason: err.Error(), Action: "moved aside"})
		if !r.dryRun {
			if err := r.aside(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// aside moves a file into the folder damaged, durably. A missing one is no error.
func (r *salvage) aside(name string) error {
	dir := path.Join(r.dir, salvagedName)
	if err := r.fs.MkdirAll(dir); err != nil {
		return err
	}
	err := r.fs.Rename(name, damagedPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, r.fs.SyncDir(dir), r.fs.SyncDir(r.dir))
}

// damagedPath returns a new name for a file in the folder damaged.
func damagedPath(name string) string {
	return path.Join(path.Dir(name), salvagedName, path.Base(name)+"."+rand.Text()[:8])
}
