package commitlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/vfs"
)

// reheader writes the header of a segment in place. All else in it stays.
func (r *repair) reheader(s *segment) error {
	f, err := r.fs.OpenWrite(s.path())
	if err != nil {
		return err
	}
	_, err = f.WriteAt(s.encode(), 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// rewrite replaces a segment by a copy in which gaps are lost frames. Positions stay, so what is intact is copied as it is.
func (r *repair) rewrite(f vfs.File, v *survey) error {
	b, err := readAt(f, 0, v.size)
	if err != nil {
		return err
	}
	// The original is copied aside before it is replaced: a crash in between must not make it look missing.
	dir := path.Join(r.dir, asideName)
	if err := errors.Join(r.fs.MkdirAll(dir), r.fs.SyncDir(r.dir)); err != nil {
		return err
	}
	if err := vfs.ReplaceFile(r.fs, damagedPath(v.seg.path()), [][]byte{b}); err != nil {
		return err
	}
	b = append(b, make([]byte, max(0, segmentHeaderSize-len(b)))...)
	copy(b, v.seg.encode())
	for i := range v.gaps {
		g := &v.gaps[i]
		switch {
		case g.tail:
			b = append(b[:g.from:g.from], lostFrame(v.seg, &gap{from: g.from, to: g.from + frameHeaderSize, before: g.before, after: g.after})...)
		case g.to-g.from > MaxPayload:
			return fmt.Errorf("%s: %d damaged bytes in a row are more than one frame can replace", v.seg.path(), g.to-g.from)
		default:
			copy(b[g.from:g.to], lostFrame(v.seg, g))
		}
	}
	return r.write(v.seg, [][]byte{b})
}

// write makes a file for seg, under its current name.
func (r *repair) write(seg *segment, content [][]byte) error {
	if err := r.fs.Remove(seg.name(indexSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return vfs.ReplaceFile(r.fs, seg.path(), content)
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

// aside moves a file into the folder damaged, durably. A missing one is no error.
func (r *repair) aside(name string) error {
	dir := path.Join(r.dir, asideName)
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
	return path.Join(path.Dir(name), asideName, path.Base(name)+"."+rand.Text()[:8])
}
