package commitlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// scanAheadBytes is how much a sequential scan reads at once.
const scanAheadBytes = 1 << 20

// recovery finds out what a log's directory holds when it is opened. It reads the headers of all segments and, if the log was
// stopped cleanly, the last mark. Otherwise it scans from the end backwards as far as segments may hold what was not known
// durable, cuts what was not, and reports damage below.
type recovery struct {
	l        *Log
	segments []*segment
	states   []record.Index // of the checkpoint files there are, oldest first; not verified
	scans    []*segmentScan // of the last len(scans) segments, in order
	durable  record.Index   // the highest index that anything on disk says was durable
}

// segmentScan is what the scan of one segment found.
type segmentScan struct {
	seg    *segment
	index  *sparseIndex // of the intact frames up to the first break
	end    int64        // position after the last intact frame
	used   int64        // where what was written ends, at least: of a recycled file, the last header that is intact
	broken string       // why the frames end before used; empty if they do not
	told   record.Index // the highest durable index that a header in the file tells, also behind the break
}

// recover fills in the log's segments and ends. It leaves the log without an active segment: what is on disk now is never
// appended to.
func (l *Log) recover() error {
	ident, err := loadIdentity(l.store.fs, l.dir, l.id)
	if err != nil {
		return err
	}
	l.repaired = ident.repaired
	r := &recovery{l: l}
	if err := r.readSegments(ident.first); err != nil {
		return err
	}
	if err := r.dropDetached(ident.first); err != nil {
		return err
	}
	if err := r.checkChain(ident.first); err != nil {
		return err
	}
	end, err := r.findEnd()
	if err != nil {
		return err
	}
	l.mu.segments, l.mu.states = r.segments, r.states
	l.mu.end, l.mu.durable = end, end.index
	return r.checkStates(end)
}

// readSegments reads the headers of all segment files, oldest first. Segments that a trim left behind go to the trash.
func (r *recovery) readSegments(first record.Index) error {
	names, err := r.l.store.fs.ReadDir(r.l.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if base, ok := parseNumbered(name, segmentSuffix); ok {
			err = r.readSegment(record.Index(base), first, false)
		} else if base, ok := parseNumbered(name, freshSuffix); ok {
			err = r.readSegment(record.Index(base), first, true)
		} else if at, ok := parseNumbered(name, stateSuffix); ok {
			r.states = append(r.states, record.Index(at))
		} else if path.Ext(name) == tmpSuffix {
			err = r.l.store.fs.Remove(path.Join(r.l.dir, name))
		}
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(r.segments, func(a, b *segment) int { return cmp.Compare(a.base, b.base) })
	r.replaceEmpty()
	return nil
}

func (r *recovery) readSegment(base, first record.Index, fresh bool) error {
	s := &segment{segmentHeader: segmentHeader{base: base}, dir: r.l.dir}
	s.fresh.Store(fresh)
	if base < first {
		r.l.store.logger.Info("removing a segment that was trimmed", "file", s.path())
		return r.l.store.discard(s)
	}
	f, err := s.open(r.l.store.fs)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := readAt(f, 0, segmentHeaderSize)
	if err != nil {
		return err
	}
	h, err := parseSegmentHeader(b)
	switch {
	case err != nil && fresh:
		return r.discardUnsynced(s, err.Error())
	case err != nil:
		return s.damage(0, err.Error())
	case h.id != r.l.id:
		return s.damage(16, fmt.Sprintf("it belongs to log %v", h.id))
	case h.base != base:
		return s.damage(24, fmt.Sprintf("its base index is %d", h.base))
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	s = newSegment(r.l.dir, h)
	s.fresh.Store(fresh)
	s.sealed = true
	s.end = size
	r.segments = append(r.segments, s)
	return nil
}

// replaceEmpty finishes a replacement that a crash cut short: of a segment without entries and a fresh one of the same base, the
// fresh one counts, and takes the other's name when it settles.
func (r *recovery) replaceEmpty() {
	kept := r.segments[:0]
	for _, s := range r.segments {
		if n := len(kept); n > 0 && kept[n-1].base == s.base {
			kept[n-1] = s // names sort .log before .new
			continue
		}
		kept = append(kept, s)
	}
	r.segments = kept
}

// discardUnsynced moves a segment out of the way that was never synced, so that nothing in it was ever promised beyond the page cache.
func (r *recovery) discardUnsynced(s *segment, reason string) error {
	info, err := r.l.store.fs.Stat(s.path())
	if err != nil {
		return err
	}
	// Of a recycled file most is left over from its earlier life. How much, nothing tells.
	r.l.store.logger.Warn("cutting a segment that was not durable when the node stopped",
		"log", r.l.id.String(), "file", s.path(), "bytes_at_most", info.Size, "reason", reason)
	return r.l.store.discard(s)
}

// dropDetached discards fresh segments at the end whose predecessor is not there: neither was ever synced.
func (r *recovery) dropDetached(first record.Index) error {
	at := 0
	for at < len(r.segments) && r.follows(at, first) {
		at++
	}
	if slices.ContainsFunc(r.segments[at:], func(s *segment) bool { return !s.fresh.Load() }) {
		return nil // checkChain says what is missing
	}
	for i := len(r.segments) - 1; i >= at; i-- {
		if err := r.discardUnsynced(r.segments[i], "the segment before it is not there"); err != nil {
			return err
		}
	}
	r.segments = r.segments[:at]
	return nil
}

// follows reports whether the i-th segment connects to the one before it, or begins the log.
func (r *recovery) follows(i int, first record.Index) bool {
	s := r.segments[i]
	if i == 0 {
		return s.base == first
	}
	return s.base-record.Index(s.previous) == r.segments[i-1].base
}

// checkChain verifies that no segment is missing between the first and the last.
func (r *recovery) checkChain(first record.Index) error {
	if len(r.segments) == 0 {
		if first > 1 {
			return &DamageError{Path: numberedName(r.l.dir, uint64(first), segmentSuffix), Reason: "the log's first segment is missing"}
		}
		return nil
	}
	if !r.follows(0, first) {
		return &DamageError{Path: numberedName(r.l.dir, uint64(first), segmentSuffix), Reason: "the log's first segment is missing"}
	}
	for i, s := range r.segments[1:] {
		before := r.segments[i]
		if !r.follows(i+1, first) {
			return &DamageError{Path: numberedName(r.l.dir, uint64(s.base)-uint64(s.previous), segmentSuffix),
				Reason: fmt.Sprintf("the segment between %d and %d is missing", before.base, s.base)}
		}
		if s.before.next < before.before.next || s.before.term < before.before.term {
			return s.damage(32, "it begins before the segment that precedes it")
		}
		before.last = s.before
	}
	return nil
}

// findEnd returns where the log ends, after cutting what was not durable and not intact.
func (r *recovery) findEnd() (logEnd, error) {
	if len(r.segments) == 0 {
		return logEnd{}, nil
	}
	if clean, err := r.cleanEnd(); clean || err != nil {
		return r.segments[len(r.segments)-1].last, err
	}
	if err := r.scanBackwards(); err != nil {
		return logEnd{}, err
	}
	for i, sc := range r.scans {
		next := len(r.segments) - len(r.scans) + i + 1
		complete := sc.broken == "" && (next == len(r.segments) || r.segments[next].base == sc.index.last.index+1)
		if complete {
			sc.seg.last = sc.index.last
			r.mentionLeftover(sc)
			continue
		}
		if err := r.cut(i, next); err != nil {
			return logEnd{}, err
		}
		break
	}
	return r.settle()
}

// cleanEnd recognises a log whose end is recorded: by a mark at the very end of the last file which says that all before is
// durable, or by an index file that was written after a scan and fits the file.
func (r *recovery) cleanEnd() (bool, error) {
	s := r.segments[len(r.segments)-1]
	if s.fresh.Load() {
		return false, nil
	}
	f, err := s.open(r.l.store.fs)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if s.end >= segmentHeaderSize+frameHeaderSize {
		b, err := readAt(f, s.end-frameHeaderSize, frameHeaderSize)
		if err != nil {
			return false, err
		}
		h, err := parseFrameHeader(b, s.seed)
		if err == nil && h.kind == kindMark && h.durable == h.index && h.index+1 >= s.base {
			s.last = h.markEnd()
			return true, nil
		}
	}
	x, err := loadSidecar(r.l.store.fs, s)
	if err != nil || x.end != s.end || x.last.index+1 < s.base {
		return false, nil
	}
	s.last = x.last
	r.l.store.indexes.put(s, x)
	return true, nil
}

// scanBackwards scans segments from the last one on, until one says that all before it is durable.
func (r *recovery) scanBackwards() error {
	state, err := r.l.newestCheckpoint(r.states)
	if err != nil {
		return err
	}
	r.durable = state.at // a checkpoint is saved only when the log is durable up to it
	for i := len(r.segments) - 1; i >= 0; i-- {
		sc, err := r.scan(r.segments[i])
		if err != nil {
			return err
		}
		r.scans = slices.Insert(r.scans, 0, sc)
		if s := r.segments[i]; s.durableBefore || r.durable >= s.base-1 {
			r.durable = max(r.durable, s.base-1)
			return nil
		}
	}
	return nil
}

// scan reads all frames of s from the disk itself.
func (r *recovery) scan(s *segment) (*segmentScan, error) {
	f, err := r.l.store.fs.OpenWrite(s.path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// What only the page cache knows could be served now and be gone after the next power cut. So first everything is made
	// durable, then it is read back from the disk.
	if err := errors.Join(f.Sync(), f.DropCache()); err != nil {
		return nil, fmt.Errorf("make segment durable before its scan: %w", err)
	}
	sc, err := scanSegment(f, s)
	if err != nil {
		return nil, fmt.Errorf("scan segment %s: %w", s.path(), err)
	}
	r.durable = max(r.durable, sc.told)
	return sc, nil
}

// cut ends the log before the first frame of the i-th scan that is missing or broken, or reports damage if that frame was
// durable. The segments from next on go.
func (r *recovery) cut(i, next int) error {
	sc := r.scans[i]
	s, end := sc.seg, sc.index.last
	reason := cmp.Or(sc.broken, "the file ends before its last entry")
	if end.index < r.durable {
		return s.damage(sc.end, fmt.Sprintf("%s; entries up to %d were durable, it holds those up to %d",
			reason, r.durable, end.index))
	}
	lost := max(sc.used-sc.end, 0)
	for _, later := range r.segments[next:] {
		lost += later.end
	}
	r.l.store.logger.Warn("cutting the end of a log that was not durable when the node stopped",
		"log", r.l.id.String(), "file", s.path(), "pos", sc.end, "bytes", lost, "last_index", uint64(end.index),
		"reason", reason)
	for i := len(r.segments) - 1; i >= next; i-- {
		if err := r.l.store.discard(r.segments[i]); err != nil {
			return err
		}
	}
	r.segments = r.segments[:next]
	r.scans = r.scans[:i+1]
	s.last = end
	return nil
}

// mentionLeftover says that a recycled file is cut where its frames end. What lies behind is left over from its earlier life, or
// what did reach the disk of a write whose first header did not: that looks the same.
func (r *recovery) mentionLeftover(sc *segmentScan) {
	if bytes := sc.seg.end - sc.end; sc.seg.recycled && bytes > 0 {
		r.l.store.logger.Info("cutting a recycled file behind the log's last intact frame; whether something was being written there when "+
			"the node stopped cannot be told", "log", r.l.id.String(), "file", sc.seg.path(), "pos", sc.end, "bytes_at_most", bytes,
			"last_index", uint64(sc.index.last.index))
	}
}

// settle makes durable what the scan found and what it cut: sizes, names, index files. Before that nothing may be served.
func (r *recovery) settle() (logEnd, error) {
	last := r.segments[len(r.segments)-1]
	if last.last.index < r.durable {
		return logEnd{}, last.damage(last.end, fmt.Sprintf("the log ends with entry %d, entries up to %d were durable",
			last.last.index, r.durable))
	}
	for _, sc := range r.scans {
		if err := r.l.store.settleSegment(sc.seg, sc.end); err != nil {
			return logEnd{}, fmt.Errorf("settle segment: %w", err)
		}
		sc.index.end = sc.end
		r.l.store.indexes.saveSidecar(sc.seg, sc.index)
		r.l.store.indexes.put(sc.seg, sc.index)
	}
	return last.last, r.l.store.fs.SyncDir(r.l.dir)
}

// checkStates reports a log that ends before an intact checkpoint: entries that were durable are gone.
func (r *recovery) checkStates(end logEnd) error {
	if n := len(r.states); n == 0 || r.states[n-1] <= end.index {
		return nil
	}
	state, err := r.l.newestCheckpoint(r.states)
	if err != nil || state.at <= end.index {
		return err
	}
	return &DamageError{Path: numberedName(r.l.dir, uint64(state.at), stateSuffix),
		Reason: fmt.Sprintf("the checkpoint is of entry %d, but the log ends with entry %d", state.at, end.index)}
}

// settleSegment cuts a file at end, durably, and gives it its final name.
func (s *Store) settleSegment(seg *segment, end int64) error {
	f, err := s.fs.OpenWrite(seg.path())
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil && size != end {
		err = errors.Join(f.Truncate(end), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	seg.end = end
	if !seg.fresh.Load() {
		return nil
	}
	if err := s.fs.Rename(seg.name(freshSuffix), seg.name(segmentSuffix)); err != nil {
		return err
	}
	seg.fresh.Store(false)
	return nil
}

// discard moves a segment and its index file to the trash, durably.
func (s *Store) discard(seg *segment) error {
	if err := s.fs.Remove(seg.name(indexSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	trash := s.trashPath(path.Base(seg.path()))
	if err := s.move(seg.path(), trash); err != nil {
		return err
	}
	s.recycle(trash)
	return nil
}

// scanSegment reads all frames of a segment, and behind a broken one looks for headers that tell how much was durable.
func scanSegment(f vfs.File, s *segment) (*segmentScan, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	out := &segmentScan{seg: s, end: segmentHeaderSize, index: &sparseIndex{end: segmentHeaderSize, last: s.before}}
	sc := &scanner{file: f, seed: s.seed, recycled: s.recycled, pos: segmentHeaderSize, limit: size, ahead: scanAheadBytes}
	for {
		fr, err := sc.next()
		if err == nil {
			err = out.follow(&fr)
		}
		if err == nil {
			continue
		}
		var broken *brokenFrame
		switch {
		case err == io.EOF:
			out.used = out.end
			return out, nil
		case errors.As(err, &broken):
			out.broken = broken.reason
		case err == errUnwritten:
		default:
			return nil, err
		}
		return out, out.lookBehind(sc)
	}
}

// follow takes an intact frame if it continues the log.
func (s *segmentScan) follow(f *frame) error {
	at := s.index.last
	switch f.kind {
	case kindMark:
		if f.markEnd() != at {
			return &brokenFrame{f.pos, "a mark that does not fit the entry before it"}
		}
	case kindLost:
		if f.index < at.index || f.base < at.next || f.term < at.term || f.time < at.time {
			return &brokenFrame{f.pos, "lost entries that do not follow the entry before them"}
		}
		s.index.add(&f.frameHeader, f.base, f.pos)
	default:
		e := f.entry(f.payload)
		if e.Index != at.index+1 || e.Base != at.next || e.Term < at.term || e.Time < at.time {
			return &brokenFrame{f.pos, fmt.Sprintf("entry %d does not follow entry %d", e.Index, at.index)}
		}
		s.index.add(&f.frameHeader, e.Next(), f.pos)
	}
	s.end = f.end()
	s.told = max(s.told, f.durable)
	return nil
}

// lookBehind reads on behind the first place that is not intact.
func (s *segmentScan) lookBehind(sc *scanner) error {
	s.used = s.end
	if !sc.recycled {
		last, err := sc.zerosFrom(s.end)
		if err != nil {
			return err
		}
		s.used, sc.limit = last, min(sc.limit, last+frameHeaderSize)
	}
	sc.pos = s.end
	for {
		h, err := sc.skipToHeader(s.seg.base)
		if err != nil && err != io.EOF {
			return err
		}
		if s.used > s.end && s.broken == "" {
			s.broken = errUnwritten.Error()
		}
		if err == io.EOF {
			return nil
		}
		s.used = max(s.used, sc.pos)
		s.told = max(s.told, h.durable)
	}
}
