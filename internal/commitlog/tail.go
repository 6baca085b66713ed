package commitlog

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// tailFile is the active segment as its writer sees it. It belongs to who holds tailTurn; sync and close of one that is
// sealed but not yet synced, to who holds syncTurn.
type tailFile struct {
	seg      *segment
	file     vfs.File
	pos      int64        // where the next frame goes
	round    int64        // bytes of the round under way, from pos on
	ready    int64        // up to here the file has blocks: zeros were written ahead, or it is recycled
	recorded record.Index // the highest durable index that a frame of this file tells
	dirty    bool         // a mark was written that is not synced
	created  time.Time
	syncErr  error // outcome of the sync under way, see syncTails
}

// segmentGrowth decides how large segments become: they double while they fill within seconds, and halve when it takes long.
type segmentGrowth struct{ target int64 }

const (
	growWithin  = 10 * time.Second
	shrinkAfter = 10 * time.Minute
)

// filled adapts the size of the next segment to the time that the last one took.
func (g *segmentGrowth) filled(took time.Duration, o *Options) {
	switch {
	case took < growWithin:
		g.target = min(2*g.target, o.MaxSegmentBytes)
	case took > shrinkAfter:
		g.target = max(g.target/2, o.MinSegmentBytes)
	}
}

// roundLimit is how many payload bytes the next round may take, so that segments end near their size.
func (l *Log) roundLimit() int {
	limit := int64(l.store.opts.RoundBytes)
	room := l.growth.target
	if t := l.mu.tail; t != nil && t.pos < l.growth.target {
		room -= t.pos
	}
	return int(max(1, min(limit, room)))
}

// ensureTail makes sure that there is an active segment with room. A full one is sealed. Without a descriptor for the next one the log goes
// on in the one it has, up to the size of the largest.
func (l *Log) ensureTail() error {
	t := l.mu.tail
	if t != nil && t.pos < l.growth.target {
		return nil
	}
	switch err := l.beginSegment(); {
	case errors.Is(err, vfs.ErrTooManyFiles) && t != nil && t.pos < l.store.opts.MaxSegmentBytes:
		return nil
	case err != nil:
		return err
	}
	if t != nil {
		l.growth.filled(time.Since(t.created), &l.store.opts)
	}
	return nil
}

// beginSegment seals the active segment, if there is one, and begins another at the end of the log. On an error the old one
// stays active. Nothing is synced; the file gets its final name with its first sync.
func (l *Log) beginSegment() error {
	l.mu.Lock()
	end, durable, segments := l.mu.end, l.mu.durable, l.mu.segments
	l.mu.Unlock()
	h := segmentHeader{id: l.id, base: end.index + 1, before: end, durableBefore: durable == end.index}
	rand.Read(h.salt[:])
	replaced := 0
	if n := len(segments); n > 0 && segments[n-1].empty() {
		segments, replaced = segments[:n-1], 1 // the new file takes its place
	}
	if n := len(segments); n > 0 {
		h.previous = uint32(h.base - segments[n-1].base)
	}
	t, err := l.store.createTail(l.dir, h, l.growth.target)
	if err != nil {
		return err
	}
	old := l.mu.tail
	if old != nil && old.ready > old.pos {
		if err := old.file.Truncate(old.pos); err != nil {
			// The log goes on in the old file if the disk is only full: what then follows must not meet a segment of this base.
			return errors.Join(err, t.file.Close(), l.store.fs.Remove(t.seg.path()))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	segments = l.mu.segments // a trim may have removed some at the front meanwhile
	kept := len(segments) - replaced
	for _, s := range segments[kept:] {
		s.gone.Store(true)
		l.store.files.drop(s)
		l.store.indexes.drop(s)
	}
	// A new slice: readers hold the old one.
	l.mu.segments = append(append(make([]*segment, 0, kept+1), segments[:kept]...), t.seg)
	l.mu.tail = t
	if old != nil {
		l.sealLocked(old)
	}
	return nil
}

// sealLocked ends a segment's active life. What was not synced of it is left to the syncer.
func (l *Log) sealLocked(t *tailFile) {
	t.seg.sealed = true
	index := t.seg.index
	t.seg.index = nil
	l.store.indexes.put(t.seg, index)
	l.store.janitor.later(func() {
		if index.end >= sidecarFromBytes && !t.seg.gone.Load() {
			l.store.indexes.saveSidecar(t.seg, index)
		}
	})
	if l.policy == SyncAlways {
		l.store.janitor.later(func() { t.file.Close() })
		return
	}
	l.mu.unsynced = append(l.mu.unsynced, t)
	l.store.syncer.hurry(l)
}

// createTail makes the file of a new segment, under its fresh name, and writes the header. The segment will have about target bytes.
func (s *Store) createTail(dir string, h segmentHeader, target int64) (*tailFile, error) {
	name := numberedName(dir, uint64(h.base), freshSuffix)
	if err := removeIfExists(s.fs, name); err != nil {
		return nil, err
	}
	f, ready, err := s.createFile(name, target)
	if err != nil {
		return nil, err
	}
	h.recycled = ready > 0
	seg := newSegment(dir, h)
	seg.fresh.Store(true)
	seg.index = &sparseIndex{end: segmentHeaderSize, last: h.before}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return nil, errors.Join(err, f.Close(), s.fs.Remove(name))
	}
	return &tailFile{seg: seg, file: f, pos: segmentHeaderSize, ready: ready, created: time.Now()}, nil
}

func removeIfExists(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeMark appends a mark that tells what is durable, unless the file's last frame tells it. A full disk is no error: the
// mark is left out. The caller holds tailTurn and syncs.
func (l *Log) writeMark() (wrote bool, err error) {
	l.mu.Lock()
	t, end, durable, failed := l.mu.tail, l.mu.end, l.mu.durable, l.errLocked()
	l.mu.Unlock()
	if t == nil || failed != nil || t.recorded >= durable {
		return false, failed
	}
	var b [frameHeaderSize]byte
	h := end.markHeader(durable)
	putFrameHeader(b[:], &h, t.seg.seed)
	if _, err := t.file.WriteAt(b[:], t.pos); errors.Is(err, vfs.ErrNoSpace) {
		return false, nil
	} else if err != nil {
		return false, l.fail(err)
	}
	t.pos += frameHeaderSize
	t.recorded, t.dirty = durable, true
	l.mu.Lock()
	t.seg.end, t.seg.index.end = t.pos, t.pos
	l.mu.Unlock()
	return true, nil
}
