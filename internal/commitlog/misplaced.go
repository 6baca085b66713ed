package commitlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/vfs"
)

// movedSuffix marks a file on the way to its name: files that were swapped have to pass each other.
const movedSuffix = ".moved"

// misplaced are the files of a log's directory that are intact and do not belong under the names that they have: somebody has
// renamed, swapped or copied them. It is an FS in which they are where they belong, for who only looks.
type misplaced struct {
	vfs.FS
	dir   string
	moves []move
}

// move is a file that has to get another name; one without to is moved aside.
type move struct {
	from, to string // without the directory
	reason   string
}

// findMisplaced reads the headers of all segments and checkpoints of the log in dir.
func findMisplaced(fsys vfs.FS, dir string) (*misplaced, error) {
	m := &misplaced{FS: fsys, dir: dir}
	id, ok := parseLogID(path.Base(dir))
	if !ok {
		return m, nil // repair refuses it
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	taken := make(map[string]bool)
	for _, name := range names {
		mv, err := m.look(id, name)
		if err != nil {
			return nil, err
		}
		if mv.from != "" {
			m.moves = append(m.moves, mv)
		} else {
			taken[name] = true
		}
	}
	for i := range m.moves {
		mv := &m.moves[i]
		if mv.to != "" && (taken[mv.to] || taken[strings.TrimSuffix(mv.to, segmentSuffix)+freshSuffix]) {
			mv.reason, mv.to = mv.reason+", which is there", ""
		}
		taken[mv.to] = true
	}
	return m, nil
}

// look returns the move of a file that is intact and misplaced, and no move for any other.
func (m *misplaced) look(id LogID, name string) (move, error) {
	plain := strings.TrimSuffix(name, movedSuffix)
	var suffix, proper string
	var of LogID
	switch path.Ext(plain) {
	case segmentSuffix, freshSuffix:
		b, err := m.head(name, segmentHeaderSize)
		h, bad := parseSegmentHeader(b)
		if err != nil || bad != nil {
			return move{}, err
		}
		suffix, of, proper = path.Ext(plain), h.id, path.Base(numberedName("", uint64(h.base), path.Ext(plain)))
	case stateSuffix:
		b, err := m.head(name, math.MaxInt64-1)
		c, bad := parseCheckpoint(b)
		if err != nil || bad != nil {
			return move{}, err
		}
		suffix, of, proper = stateSuffix, c.id, path.Base(numberedName("", uint64(c.at), stateSuffix))
	default:
		return move{}, nil
	}
	switch _, numbered := parseNumbered(plain, suffix); {
	case !numbered || name == proper && of == id:
		return move{}, nil
	case of != id:
		return move{from: name, reason: fmt.Sprintf("it belongs to log %v", of)}, nil
	}
	if suffix == freshSuffix {
		proper = strings.TrimSuffix(proper, freshSuffix) + segmentSuffix
	}
	return move{from: name, to: proper, reason: "it belongs under the name " + proper}, nil
}

// head reads the beginning of a file. What is no file has none: who opens it will say so.
func (m *misplaced) head(name string, limit int64) ([]byte, error) {
	full := path.Join(m.dir, name)
	if info, err := m.FS.Stat(full); err != nil || info.IsDir {
		return nil, err
	}
	return vfs.ReadFile(m.FS, full, limit)
}

// problems tells of the moves.
func (m *misplaced) problems() []Problem {
	var out []Problem
	for _, mv := range m.moves {
		p := Problem{Path: path.Join(m.dir, mv.from), Reason: mv.reason, Action: "moved aside"}
		if mv.to != "" {
			p.Action = "renamed"
		}
		out = append(out, p)
	}
	return out
}

// settle makes the moves, durably. It can be cut short at any point and be run again.
func (m *misplaced) settle() error {
	r := &repair{fs: m.FS, dir: m.dir}
	for _, mv := range m.moves {
		from := path.Join(m.dir, mv.from)
		if mv.to == "" {
			if err := r.aside(from); err != nil {
				return err
			}
		} else if mv.from != mv.to+movedSuffix {
			if err := m.FS.Rename(from, path.Join(m.dir, mv.to+movedSuffix)); err != nil {
				return err
			}
		}
	}
	if len(m.moves) == 0 {
		return nil
	}
	if err := m.FS.SyncDir(m.dir); err != nil {
		return err
	}
	for _, mv := range m.moves {
		if mv.to == "" {
			continue
		}
		to := path.Join(m.dir, mv.to)
		if err := m.FS.Rename(to+movedSuffix, to); err != nil {
			return err
		}
	}
	return m.FS.SyncDir(m.dir)
}

// ReadDir implements vfs.FS.
func (m *misplaced) ReadDir(name string) ([]string, error) {
	names, err := m.FS.ReadDir(name)
	if err != nil || path.Clean(name) != path.Clean(m.dir) {
		return names, err
	}
	for _, mv := range m.moves {
		names = slices.DeleteFunc(names, func(n string) bool { return n == mv.from })
	}
	for _, mv := range m.moves {
		if mv.to != "" {
			names = append(names, mv.to)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Open implements vfs.FS.
func (m *misplaced) Open(name string) (vfs.File, error) {
	if path.Dir(name) != path.Clean(m.dir) {
		return m.FS.Open(name)
	}
	at := path.Base(name)
	for _, mv := range m.moves {
		if mv.to == at {
			return m.FS.Open(path.Join(m.dir, mv.from))
		}
	}
	for _, mv := range m.moves {
		if mv.from == at {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	return m.FS.Open(name)
}

var errReadOnly = errors.New("this view of the log is read only")

// OpenWrite implements vfs.FS.
func (m *misplaced) OpenWrite(name string) (vfs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errReadOnly}
}
