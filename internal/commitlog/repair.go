package commitlog

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// asideName is the folder of a data directory to which Repair moves what it cuts off. Nothing in it is ever read or removed.
const asideName = "damaged"

// Repaired is what Repair did.
type Repaired struct {
	Last        record.Index  // the log ends with this entry now
	Next        record.Offset // and its next message will get this offset
	LostEntries uint64        // known to have been durable behind Last
	Aside       string        // the directory that holds what was cut off
	Moved       []string      // names of the files in it
}

// Repair makes a damaged log usable again, at the price of everything behind the first damage: the log is cut there. Nothing is
// deleted: the files are moved, or copied before they are cut, to DIR/damaged/. It returns nil if there is no damage. It holds
// the lock of the data directory, so no node may be running. When it returns, the new state is durable.
//
// It refuses what it cannot repair: a log whose older entries are gone already, when no intact checkpoint lies before the cut;
// and to cut the catalog, because a node deletes the logs of topics that its catalog does not know.
func Repair(fsys vfs.FS, dir string) (*Repaired, error) {
	root := path.Dir(path.Dir(path.Clean(dir)))
	lock, err := fsys.Lock(path.Join(root, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use; stop the node first: %w", root, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", root, err)
	}
	defer lock.Close()
	in, err := Inspect(fsys, dir, nil)
	if err != nil || len(in.Damage) == 0 {
		return nil, err
	}
	r := &repair{fs: fsys, in: in}
	if err := r.plan(); err != nil {
		return nil, err
	}
	r.result.Aside = path.Join(root, asideName, fmt.Sprintf("%v-%s", in.ID, time.Now().UTC().Format("20060102T150405.000000000")))
	if err := r.run(root); err != nil {
		return nil, fmt.Errorf("repair %s: %w", dir, err)
	}
	return &r.result, nil
}

// repair is one Repair under way.
type repair struct {
	fs     vfs.FS
	in     *Inspection
	move   []string           // files that go as a whole
	cut    *SegmentInspection // the segment that keeps its intact part; nil if none is cut
	result Repaired
}

// plan decides what is kept, without changing anything.
func (r *repair) plan() error {
	first, err := loadIdentity(r.fs, r.in.Dir, r.in.ID)
	if err != nil {
		return fmt.Errorf("%w; without its identity the log cannot be repaired: restore it from a backup", err)
	}
	end := logEnd{index: first.first - 1}
	kept := 0
	for i := range r.in.Segments {
		s := &r.in.Segments[i]
		if s.Base != end.index+1 {
			break
		}
		kept++
		end.index, end.next = s.Last, s.Next
		if s.Broken != "" {
			r.cut = s
			break
		}
	}
	r.result.Last, r.result.Next = end.index, end.next
	r.result.LostEntries = uint64(max(r.in.Durable, end.index) - end.index)
	if r.in.ID.Topic == 0 && r.result.LostEntries > 0 {
		return fmt.Errorf("%s is the catalog: cutting it would delete topics; restore it from a backup, with the node stopped", r.in.Dir)
	}
	return r.planMoves(first.first, kept)
}

// planMoves lists the files behind the cut, with everything that is derived from them.
func (r *repair) planMoves(first record.Index, kept int) error {
	names, err := r.fs.ReadDir(r.in.Dir)
	if err != nil {
		return err
	}
	last := r.result.Last
	checkpoint := false
	for _, name := range names {
		full := path.Join(r.in.Dir, name)
		if at, ok := parseNumbered(name, stateSuffix); ok {
			if !slices.Contains(r.in.Checkpoints, record.Index(at)) || record.Index(at) > last {
				r.move = append(r.move, full)
			} else {
				checkpoint = true
			}
		} else if base, ok := parseNumbered(name, segmentSuffix); ok {
			if record.Index(base) >= first && !slices.ContainsFunc(r.in.Segments[:kept], func(s SegmentInspection) bool { return s.Path == full }) {
				r.move = append(r.move, full)
			}
		} else if _, ok := parseNumbered(name, freshSuffix); ok {
			if !slices.ContainsFunc(r.in.Segments[:kept], func(s SegmentInspection) bool { return s.Path == full }) {
				r.move = append(r.move, full)
			}
		} else if base, ok := parseNumbered(name, indexSuffix); ok {
			if record.Index(base) > last || r.cut != nil && record.Index(base) == r.cut.Base {
				r.move = append(r.move, full)
			}
		}
	}
	if first > 1 && !checkpoint {
		return fmt.Errorf("%s cannot be repaired: its entries before %d are gone, and no intact checkpoint lies before the damage; "+
			"restore it from a backup", r.in.Dir, first)
	}
	return nil
}

// run carries the plan out: first everything is safe aside, durably, then the log is cut.
func (r *repair) run(root string) error {
	if err := r.fs.MkdirAll(r.result.Aside); err != nil {
		return err
	}
	if r.cut != nil {
		if err := r.copyAside(r.cut.Path); err != nil {
			return err
		}
	}
	for _, d := range []string{r.result.Aside, path.Join(root, asideName), root} {
		if err := r.fs.SyncDir(d); err != nil {
			return err
		}
	}
	// From the end backwards, so that a crash in between leaves a log that ends earlier, not one with a hole.
	for _, name := range slices.Backward(r.move) {
		if err := r.fs.Rename(name, path.Join(r.result.Aside, path.Base(name))); err != nil {
			return err
		}
		r.result.Moved = append(r.result.Moved, path.Base(name))
	}
	if r.cut != nil {
		if err := r.truncate(r.cut); err != nil {
			return err
		}
	}
	return errors.Join(r.fs.SyncDir(r.result.Aside), r.fs.SyncDir(r.in.Dir))
}

// copyAside copies a file that stays, cut.
func (r *repair) copyAside(name string) error {
	from, err := r.fs.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	size, err := from.Size()
	if err != nil {
		return err
	}
	to, err := r.fs.Create(path.Join(r.result.Aside, path.Base(name)))
	if err != nil {
		return err
	}
	defer to.Close()
	buf := make([]byte, scanAheadBytes)
	for pos := int64(0); pos < size; {
		n, err := from.ReadAt(buf[:min(int64(len(buf)), size-pos)], pos)
		if err != nil && err != io.EOF || n == 0 {
			return fmt.Errorf("copy %s at byte %d: %w", name, pos, err)
		}
		if _, err := to.WriteAt(buf[:n], pos); err != nil {
			return err
		}
		pos += int64(n)
	}
	r.result.Moved = append(r.result.Moved, path.Base(name)+" (copy; its intact part stays)")
	return to.Sync()
}

// truncate ends a segment after its last intact frame.
func (r *repair) truncate(s *SegmentInspection) error {
	f, err := r.fs.OpenWrite(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(max(s.IntactBytes, segmentHeaderSize)); err != nil {
		return err
	}
	return f.Sync()
}
