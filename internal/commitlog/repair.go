package commitlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// asideName is the folder of a log's directory in which Repair keeps damaged files as they were. Nothing in it is ever read or
// removed, except with the log.
const asideName = "damaged"

// Repair makes a damaged log usable again and keeps everything in it that is intact: a place that is not becomes a frame that
// says which entries and messages are lost, and the files as they were are kept in the folder damaged of dir. Files that are intact
// and have another's name get their own. Readers get a
// *LostError for messages that are lost, and Replay leaves lost entries out: the changes of state in them are lost, too. With
// dryRun it only reports, and changes nothing. When it returns without an error, the new state is durable; after a crash in
// between it can be run again.
//
// It holds the lock of the data directory, so no node may be running. It refuses to lose entries of the catalog, because
// topics would be forgotten; and a log whose older entries are gone already when no intact
// checkpoint holds their effect. The report comes with a refusal, too.
func Repair(fsys vfs.FS, dir string, dryRun bool) (*Report, error) {
	dir = path.Clean(dir)
	root := path.Join(dir, "..", "..") // also of a relative dir
	lock, err := fsys.Lock(path.Join(root, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use; stop the node first: %w", root, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", root, err)
	}
	defer lock.Close()
	names, err := findMisplaced(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("repair %s: %w", dir, err)
	}
	all, err := walkFiles(names, dir, true, math.MaxInt64) // to know what was durable
	if err != nil {
		return all.report, err
	}
	look, err := walkFiles(names, dir, true, all.told)
	look.report.Problems = append(names.problems(), look.report.Problems...)
	if err == nil {
		err = look.refusal()
	}
	if err != nil || dryRun || !look.report.Damaged() {
		return look.report, err
	}
	if err := names.settle(); err != nil {
		return look.report, fmt.Errorf("repair %s: %w", dir, err)
	}
	r, err := walkFiles(fsys, dir, false, all.told)
	r.report.Problems = append(names.problems(), r.report.Problems...)
	return r.report, err
}

// repair walks through a log's files once, oldest first.
type repair struct {
	fs      vfs.FS
	dir     string
	dryRun  bool
	report  *Report
	id      LogID
	first   record.Index // the log's oldest entry
	covered record.Index // the newest intact checkpoint is of this entry
	told    record.Index // durable, as far as anything told until now
	durable record.Index // durable, as far as anything in the log tells: what is torn above is left to the next start
	ended   bool         // the next start will cut the log here
	last    *survey      // of the segment before
}

// walkFiles walks through the files of a log. Entries up to durable count as lost where they are not intact.
func walkFiles(fsys vfs.FS, dir string, dryRun bool, durable record.Index) (*repair, error) {
	r := &repair{fs: fsys, dir: dir, dryRun: dryRun, durable: durable, report: &Report{Dir: dir}}
	if err := r.run(); err != nil {
		return r, fmt.Errorf("repair %s: %w", dir, err)
	}
	return r, nil
}

func (r *repair) run() error {
	segments, err := segmentFiles(r.fs, r.dir)
	if err != nil {
		return err
	}
	if err := r.identity(segments); err != nil {
		return err
	}
	states, err := r.states()
	if err != nil {
		return err
	}
	for i, s := range segments {
		if s.base < r.first {
			continue // trimmed; the next start removes it
		}
		next, err := r.headerAfter(segments[i+1:])
		if err != nil {
			return err
		}
		if next != nil && next.base == s.base {
			continue // without entries and replaced; the next start finishes that
		}
		if err := r.segment(s, next); err != nil {
			return err
		}
		if r.ended {
			break
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	if r.last != nil {
		r.report.Last, r.report.Next = r.last.end.index, r.last.end.next
	}
	if err := r.statesBeyond(states); err != nil || r.dryRun {
		return err
	}
	return r.fs.SyncDir(r.dir)
}

// refusal returns why the log cannot be repaired, or nil.
func (r *repair) refusal() error {
	if r.last == nil && r.first > 1 {
		return fmt.Errorf("%s cannot be repaired: all of its segments are missing; restore it from a backup", r.dir)
	}
	if r.first > r.covered+1 {
		return fmt.Errorf("%s cannot be repaired: its entries before %d are gone, and no intact checkpoint holds their effect; "+
			"restore it from a backup", r.dir, r.first)
	}
	if r.id.Topic != 0 {
		return nil
	}
	for i := range r.report.Problems {
		if p := &r.report.Problems[i]; p.Loses() {
			return fmt.Errorf("%s is the catalog, and its entries %d to %d are lost: topics would be "+
				"forgotten; restore it from a backup, with the node stopped", r.dir, p.FirstIndex, p.LastIndex)
		}
	}
	return nil
}

// identity checks the identity file, and notes in it that the log was repaired before anything else is changed.
func (r *repair) identity(segments []*segment) error {
	var ok bool
	if r.id, ok = parseLogID(path.Base(r.dir)); !ok {
		return fmt.Errorf("%s is not the name of a log's directory", path.Base(r.dir))
	}
	v, err := loadIdentity(r.fs, r.dir, r.id)
	var damage *DamageError
	if err != nil && !errors.As(err, &damage) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.first = v.first
	if err != nil {
		r.first = 1
		if len(segments) > 0 {
			r.first = segments[0].base
		}
		name := path.Join(r.dir, identityName)
		action := "written anew"
		if r.first > 1 {
			action += fmt.Sprintf("; whether what was before entry %d was trimmed or is lost, is not known", r.first)
		}
		r.report.Problems = append(r.report.Problems, Problem{Path: name, Reason: reasonOf(err), Action: action})
		if !r.dryRun {
			if err := r.aside(name); err != nil {
				return err
			}
		}
	}
	if r.dryRun || err == nil && v.repaired {
		return nil
	}
	return identity{id: r.id, first: r.first, repaired: true}.save(r.fs, r.dir)
}

// reasonOf returns what is wrong with a file, or a place in it, without naming it.
func reasonOf(err error) string {
	var damage *DamageError
	var broken *brokenFrame
	switch {
	case errors.As(err, &damage):
		return damage.Reason
	case errors.As(err, &broken):
		return broken.reason
	case errors.Is(err, fs.ErrNotExist):
		return "it is missing"
	}
	return err.Error()
}

// headerAfter returns the header of the following segment, or of one that is damaged what its first frame tells; nil if there is
// none. Segments that were never synced do not count.
func (r *repair) headerAfter(rest []*segment) (*segmentHeader, error) {
	for _, s := range rest {
		h, damage, err := headerOf(r.fs, s, nil)
		switch {
		case err != nil:
			return nil, err
		case damage == nil:
			return &h, nil
		case s.fresh.Load():
			continue
		case h.before.time != 0:
			return &h, nil
		}
		return nil, nil
	}
	return nil, nil
}

// segment surveys s, fills a hole before it, and replaces it if it is not intact. next is the header behind it, if known.
func (r *repair) segment(s *segment, next *segmentHeader) error {
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
	if r.ended {
		return nil
	}
	if err := r.predecessor(seg, damage); err != nil {
		return err
	}
	if r.report.First == 0 {
		r.report.First, r.report.Start = seg.base, h.before.next
	}
	r.told = max(r.told, v.told)
	if seg.durableBefore || !seg.fresh.Load() { // a file gets its final name when all before it is durable
		r.told = max(r.told, seg.base-1)
	}
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
func (r *repair) judge(v *survey, damage error, next *segmentHeader) (rewrite bool) {
	if damage != nil {
		r.report.Problems = append(r.report.Problems, Problem{Path: v.seg.path(), Bytes: segmentHeaderSize, Reason: damage.Error(),
			Action: "header written anew from the files beside it"})
		rewrite = true
	}
	for i := range v.gaps {
		g := &v.gaps[i]
		p := Problem{Path: v.seg.path(), Pos: g.from, Bytes: g.to - g.from, Reason: g.reason,
			FirstIndex: g.before.index + 1, LastIndex: g.after.index, First: g.before.next, Next: g.after.next}
		if damage == nil && g.before.index >= r.durable {
			v.end, v.gaps = g.before, v.gaps[:i]
			r.tear(p)
			break
		}
		p.Action = "replaced by a frame that says what is lost"
		rewrite = true
		if g.tail {
			v.endAt(g, next, max(v.told, r.told))
			p.LastIndex, p.Next = g.after.index, g.after.next
		}
		r.report.Problems = append(r.report.Problems, p)
	}
	return rewrite
}

// tear reports a place at which the next start cuts the log.
func (r *repair) tear(p Problem) {
	r.ended = true
	p.Torn, p.LastIndex, p.Next = true, p.FirstIndex-1, p.First
	p.Action = "left to the next start, which cuts the log here: nothing from here on is known to have been durable"
	r.report.Problems = append(r.report.Problems, p)
}

// endAt decides what a gap at the end of a file has lost: all up to the next segment, else as much as may have been there, so that
// no index and no offset is used twice.
func (v *survey) endAt(g *gap, next *segmentHeader, told record.Index) {
	if next != nil && next.before.index >= g.before.index {
		g.after = next.before
	} else {
		bytes := max(0, g.to-g.from)
		g.after = g.before.lose(max(told, g.before.index+record.Index(bytes/frameHeaderSize)))
		g.after.next = max(g.after.next, g.before.next+record.Offset(bytes))
	}
	v.end = g.after
}

// batchMessagesMax is how many messages an entry has at most, unless it is a large MPUB: a batch is closed at 64 KiB, and no record
// takes less than 7 bytes.
const batchMessagesMax = 64 << 10 / 7

// lose returns the end of a log whose entries from here up to index are lost, with as many messages as they may have had.
func (end logEnd) lose(index record.Index) logEnd {
	if index > end.index {
		end.next += record.Offset(index-end.index) * batchMessagesMax
		end.index = index
	}
	return end
}

// end adds a segment that says what is lost if the log ends before what was durable: no index and no offset must be given out twice,
// and the checkpoints of what is lost still hold.
func (r *repair) end() error {
	end := logEnd{index: r.first - 1}
	p := Problem{Path: r.dir, Reason: "its segments are missing"}
	switch {
	case r.last != nil:
		end = r.last.end
		p = Problem{Path: r.last.seg.path(), Pos: r.last.last, Reason: fmt.Sprintf("the log ends with entry %d, and entries up to %d were durable", end.index, r.durable)}
	case r.first > 1:
		return nil // refused
	}
	if r.ended || r.durable == math.MaxInt64 || end.index >= r.durable {
		return nil
	}
	return r.fill(end, end.lose(r.durable), p)
}

// hole fills the place of segments that are missing before v, or of entries missing at the end of the one before.
func (r *repair) hole(v *survey) error {
	end := logEnd{index: r.first - 1}
	p := Problem{Path: numberedName(r.dir, uint64(r.first), segmentSuffix), Reason: "it is missing"}
	switch {
	case r.last != nil:
		end = r.last.end
		p = Problem{Path: r.last.seg.path(), Pos: r.last.last, Reason: "no entries between it and " + path.Base(v.seg.path())}
	case r.first > 1: // how many messages it held is not known; those before were trimmed
		end = v.seg.before
		end.index = r.first - 1
	}
	if end.index == v.seg.before.index {
		return nil
	}
	if end.index > v.seg.before.index {
		return fmt.Errorf("%s begins with entry %d, but there are entries up to %d before it: "+
			"remove one of the two", v.seg.path(), v.seg.base, end.index)
	}
	if end.index >= r.durable {
		p.FirstIndex, p.LastIndex, p.First, p.Next = end.index+1, v.seg.before.index, end.next, v.seg.before.next
		r.tear(p)
		return nil
	}
	if err := r.fill(end, v.seg.before, p); err != nil {
		return err
	}
	// The segment behind must name its new predecessor.
	v.seg.previous = uint32(v.seg.base - r.last.seg.base)
	if r.dryRun {
		return nil
	}
	return r.reheader(v.seg)
}

// fill adds a segment that says that what lies between two ends of the log is lost. It takes the place of one that holds no entry.
func (r *repair) fill(from, to logEnd, p Problem) error {
	p.Action = "a segment is added that says what is lost"
	p.FirstIndex, p.LastIndex, p.First, p.Next = from.index+1, to.index, from.next, to.next
	r.report.Problems = append(r.report.Problems, p)
	h := segmentHeader{id: r.id, base: from.index + 1, before: from}
	rand.Read(h.salt[:])
	replaced := ""
	if r.last != nil {
		if h.previous = uint32(h.base - r.last.seg.base); h.previous == 0 {
			h.previous, replaced = r.last.seg.previous, r.last.seg.path()
		}
	}
	g := gap{from: segmentHeaderSize, to: segmentHeaderSize + frameHeaderSize, before: from, after: to}
	r.last = &survey{seg: newSegment(r.dir, h), gaps: []gap{g}, end: to}
	if r.report.First == 0 {
		r.report.First, r.report.Start = h.base, from.next
	}
	if r.dryRun {
		return nil
	}
	if replaced != "" {
		if err := r.aside(replaced); err != nil {
			return err
		}
	}
	return r.write(r.last.seg, [][]byte{h.encode(), lostFrame(r.last.seg, &g)})
}

// predecessor makes a segment name the one before it, which it does not if a repair was cut short.
func (r *repair) predecessor(s *segment, damage error) error {
	if r.last == nil || s.base-record.Index(s.previous) == r.last.seg.base {
		return nil
	}
	s.previous = uint32(s.base - r.last.seg.base)
	if damage != nil {
		return nil // the header is written anew in any case
	}
	r.report.Problems = append(r.report.Problems, Problem{Path: s.path(), Pos: 56, Bytes: 4,
		Reason: "it does not name the segment before it", Action: "corrected"})
	if r.dryRun {
		return nil
	}
	return r.reheader(s)
}
