package commitlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Inspection is what Inspect found in one log's directory.
type Inspection struct {
	ID          LogID
	Dir         string
	Segments    []SegmentInspection // oldest first
	Checkpoints []record.Index      // intact ones, oldest first
	// Durable is the highest index that anything on disk says was durable.
	Durable record.Index
	// Damage is what was durable and is not what was written, in the order of the log. A torn end above Durable is no damage:
	// the next start cuts it.
	Damage []*DamageError
}

// SegmentInspection is what Inspect found in one segment.
type SegmentInspection struct {
	Path          string
	FileBytes     int64 // size of the file, with the space written ahead
	IntactBytes   int64 // up to the end of the last intact frame before the first break
	Base, Last    record.Index
	First, Next   record.Offset // its messages: [First, Next)
	Batches       int
	Controls      int
	Others        int   // carries and Raft's own
	LastTime      int64 // append time of the last entry, Unix ns; 0 if there is none
	Broken        string
	durable       record.Index // told by its frames
	durableBefore bool
}

// FindLogs returns the directories of logs that a path stands for: a log's directory itself, or all logs of a data directory,
// sorted.
func FindLogs(fsys vfs.FS, name string) ([]string, error) {
	name = path.Clean(name)
	if _, ok := parseLogID(path.Base(name)); ok {
		return []string{name}, nil
	}
	if _, err := fsys.Stat(path.Join(name, formatName)); err != nil {
		return nil, fmt.Errorf("%s is neither a data directory (there is no %s) nor the directory of a log", name, formatName)
	}
	names, err := fsys.ReadDir(path.Join(name, logsName))
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var dirs []string
	for _, n := range names {
		if _, ok := parseLogID(n); ok {
			dirs = append(dirs, path.Join(name, logsName, n))
		}
	}
	return dirs, nil
}

// Inspect reads all of a log and checks every checksum. It changes nothing. Of a log that a node is writing, the end may look
// torn. Each intact entry is handed to visit, with its file and position; the payload is valid during the call. visit may be
// nil. An error is one of the disk or of visit; damage is no error.
func Inspect(fsys vfs.FS, dir string, visit func(file string, pos int64, e *record.Entry) error) (*Inspection, error) {
	id, ok := parseLogID(path.Base(dir))
	if !ok {
		return nil, fmt.Errorf("%s is not the directory of a log", dir)
	}
	in := &Inspection{ID: id, Dir: dir}
	ident, err := loadIdentity(fsys, dir, id)
	if err := in.note(err); err != nil {
		return nil, err
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", dir, err)
	}
	for _, name := range names {
		base, sealed := parseNumbered(name, segmentSuffix)
		if !sealed {
			var fresh bool
			if base, fresh = parseNumbered(name, freshSuffix); !fresh {
				continue
			}
		}
		if record.Index(base) < ident.first {
			continue // trimmed; the next start removes it
		}
		n := len(in.Segments)
		err := in.segment(fsys, path.Join(dir, name), record.Index(base), visit)
		if broken := len(in.Segments) > n && in.Segments[n].Broken != ""; broken || err != nil {
			if now, gone := loadIdentity(fsys, dir, id); gone == nil && record.Index(base) < now.first {
				ident, in.Segments = now, nil // a running node has trimmed all up to here, and may write over the file
				continue
			}
		}
		if err := in.note(err); err != nil {
			return nil, err
		}
	}
	if err := in.checkpoints(fsys, names); err != nil {
		return nil, err
	}
	in.judge(ident.first)
	return in, nil
}

// note keeps damage and returns every other error.
func (in *Inspection) note(err error) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		in.Damage = append(in.Damage, damage)
		return nil
	}
	return err
}

// segment reads one file.
func (in *Inspection) segment(fsys vfs.FS, name string, base record.Index, visit func(string, int64, *record.Entry) error) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("inspect %s: %w", name, err)
	}
	b, err := readAt(f, 0, segmentHeaderSize)
	if err != nil {
		return fmt.Errorf("inspect %s: %w", name, err)
	}
	h, err := parseSegmentHeader(b)
	switch {
	case err != nil && path.Ext(name) == freshSuffix:
		return nil // never synced
	case err != nil:
		return &DamageError{Path: name, Reason: err.Error()}
	case h.id != in.ID || h.base != base:
		return &DamageError{Path: name, Pos: 16, Reason: fmt.Sprintf("it belongs to log %v and begins with entry %d", h.id, h.base)}
	}
	s := SegmentInspection{Path: name, FileBytes: size, Base: h.base, Last: h.before.index, First: h.before.next,
		Next: h.before.next, durableBefore: h.durableBefore}
	sc := &scanner{file: f, seed: saltSeed(h.salt), recycled: h.recycled, pos: segmentHeaderSize, limit: size, ahead: scanAheadBytes}
	err = s.read(sc, visit)
	in.Segments = append(in.Segments, s)
	return err
}

// read goes through the frames of a segment up to the first break, and looks behind it for what tells of durability.
func (s *SegmentInspection) read(sc *scanner, visit func(string, int64, *record.Entry) error) error {
	for {
		fr, err := sc.next()
		var broken *brokenFrame
		switch {
		case err == nil:
		case err == io.EOF:
			return nil
		case errors.As(err, &broken):
			s.Broken = broken.reason
			return s.lookBehind(sc)
		case err == errUnwritten:
			return s.lookBehind(sc)
		default:
			return fmt.Errorf("inspect %s: %w", s.Path, err)
		}
		if fr.kind == kindMark || fr.kind == kindLost {
			s.durable, s.IntactBytes = max(s.durable, fr.durable), fr.end()
			if fr.kind == kindLost {
				s.Last, s.Next, s.LastTime = fr.index, fr.base, fr.time
			}
			continue
		}
		if fr.index != s.Last+1 {
			s.Broken = fmt.Sprintf("entry %d follows entry %d", fr.index, s.Last)
			return nil
		}
		e := fr.entry(fr.payload)
		s.count(&e)
		s.durable, s.IntactBytes = max(s.durable, fr.durable), fr.end()
		if visit != nil {
			if err := visit(s.Path, fr.pos, &e); err != nil {
				return err
			}
		}
	}
}

func (s *SegmentInspection) count(e *record.Entry) {
	switch e.Kind {
	case record.KindBatch:
		s.Batches++
	case record.KindControl:
		s.Controls++
	default:
		s.Others++
	}
	s.Last, s.Next, s.LastTime = e.Index, e.Next(), e.Time
}

// lookBehind finds intact headers behind a break: they show that something was there, and what was durable.
func (s *SegmentInspection) lookBehind(sc *scanner) error {
	for {
		h, err := sc.skipToHeader(s.Base)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("inspect %s: %w", s.Path, err)
		}
		s.durable = max(s.durable, h.durable)
		if s.Broken == "" {
			s.Broken = errUnwritten.Error()
		}
	}
}

// checkpoints reads the checkpoint files.
func (in *Inspection) checkpoints(fsys vfs.FS, names []string) error {
	for _, name := range names {
		at, ok := parseNumbered(name, stateSuffix)
		if !ok {
			continue
		}
		file := path.Join(in.Dir, name)
		b, err := vfs.ReadFile(fsys, file, math.MaxInt64-1)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped by a running node meanwhile
		}
		if err != nil {
			return fmt.Errorf("inspect %s: %w", file, err)
		}
		c, err := parseCheckpoint(b)
		if err == nil && (c.id != in.ID || c.at != record.Index(at)) {
			err = fmt.Errorf("it belongs to log %v at entry %d", c.id, c.at)
		}
		if err != nil {
			in.Damage = append(in.Damage, &DamageError{Path: file, Reason: err.Error()})
			continue
		}
		in.Checkpoints = append(in.Checkpoints, c.at)
	}
	slices.Sort(in.Checkpoints)
	return nil
}

// judge finds out what was durable, and reports each place where something durable is missing.
func (in *Inspection) judge(first record.Index) {
	for _, at := range in.Checkpoints {
		in.Durable = max(in.Durable, at) // saved only when the log is durable up to there
	}
	for i := range in.Segments {
		s := &in.Segments[i]
		in.Durable = max(in.Durable, s.durable)
		if s.durableBefore {
			in.Durable = max(in.Durable, s.Base-1)
		}
	}
	next := first
	for i := range in.Segments {
		s := &in.Segments[i]
		if s.Base > next && next <= in.Durable && next > 0 && (i == 0 || in.Segments[i-1].Broken == "") {
			in.Damage = append(in.Damage, &DamageError{Path: numberedName(in.Dir, uint64(next), segmentSuffix),
				Reason: fmt.Sprintf("entries %d to %d are missing", next, s.Base-1)})
		}
		if s.Broken != "" && s.Last < in.Durable {
			in.Damage = append(in.Damage, &DamageError{Path: s.Path, Pos: max(s.IntactBytes, segmentHeaderSize),
				Reason: fmt.Sprintf("%s; entries up to %d were durable, it holds those up to %d", s.Broken, in.Durable, s.Last)})
		}
		next = s.Last + 1
	}
	if n := len(in.Segments); n > 0 && in.Segments[n-1].Broken == "" && in.Segments[n-1].Last < in.Durable {
		last := &in.Segments[n-1]
		in.Damage = append(in.Damage, &DamageError{Path: last.Path, Pos: max(last.IntactBytes, segmentHeaderSize),
			Reason: fmt.Sprintf("the file ends with entry %d; entries up to %d were durable", last.Last, in.Durable)})
	}
}
