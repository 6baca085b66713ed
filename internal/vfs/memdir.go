package vfs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// memNode is a file or a directory, whatever its names are.
type memNode struct {
	file *memContent // nil for a directory
	// entries and durable are a directory's names: now, and for certain on disk.
	entries map[string]*memNode
	durable map[string]*memNode
}

func newMemDir() *memNode {
	return &memNode{entries: map[string]*memNode{}, durable: map[string]*memNode{}}
}

func (n *memNode) isDir() bool { return n.file == nil }

// nameChange gives a name in a directory to a node, or, with a nil node, to none.
type nameChange struct {
	dir    *memNode
	name   string
	to     *memNode
	synced bool // SyncDir of dir came after it
}

// dirOp is one directory operation that is not yet durable. All its changes reach the disk, or none does.
type dirOp struct{ changes []nameChange }

func (o *dirOp) touches(other *dirOp) bool {
	for _, a := range o.changes {
		for _, b := range other.changes {
			if a.dir == b.dir && a.name == b.name {
				return true
			}
		}
	}
	return false
}

// change applies a directory operation to the current view and remembers that it is not durable.
func (m *Mem) change(changes ...nameChange) {
	for _, c := range changes {
		if c.to == nil {
			delete(c.dir.entries, c.name)
		} else {
			c.dir.entries[c.name] = c.to
		}
	}
	m.pending = append(m.pending, &dirOp{changes})
}

// syncNames makes durable the pending operations all of whose directories have now been synced, and the earlier ones they
// build on. A nil dir stands for all directories.
func (m *Mem) syncNames(dir *memNode) {
	settled := make([]bool, len(m.pending))
	for i, op := range m.pending {
		settled[i] = true
		for j := range op.changes {
			c := &op.changes[j]
			c.synced = c.synced || dir == nil || c.dir == dir
			settled[i] = settled[i] && c.synced
		}
	}
	for i := len(m.pending) - 1; i >= 0; i-- {
		for j := 0; settled[i] && j < i; j++ {
			settled[j] = settled[j] || m.pending[j].touches(m.pending[i])
		}
	}
	var rest []*dirOp
	for i, op := range m.pending {
		if !settled[i] {
			rest = append(rest, op)
			continue
		}
		for _, c := range op.changes {
			setName(c.dir.durable, c.name, c.to)
		}
	}
	m.pending = rest
}

func setName(names map[string]*memNode, name string, to *memNode) {
	if to == nil {
		delete(names, name)
	} else {
		names[name] = to
	}
}

// lookup finds the node of a path; "/" and "." are the root, and a leading slash makes no difference.
func (m *Mem) lookup(name string) (*memNode, error) {
	n := m.root
	for _, part := range splitPath(name) {
		if !n.isDir() {
			return nil, errNotDir
		}
		next, ok := n.entries[part]
		if !ok {
			return nil, fs.ErrNotExist
		}
		n = next
	}
	return n, nil
}

// lookupDir finds a directory.
func (m *Mem) lookupDir(name string) (*memNode, error) {
	n, err := m.lookup(name)
	if err == nil && !n.isDir() {
		return nil, errNotDir
	}
	return n, err
}

// parent finds the directory that holds, or would hold, the last part of a path.
func (m *Mem) parent(name string) (dir *memNode, base string, err error) {
	parts := splitPath(name)
	if len(parts) == 0 {
		return nil, "", fs.ErrInvalid
	}
	dir, err = m.lookupDir(strings.Join(parts[:len(parts)-1], "/"))
	return dir, parts[len(parts)-1], err
}

func splitPath(name string) []string {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return nil
	}
	return strings.Split(clean, "/")
}

// contains tells whether n is dir or lies below it.
func (n *memNode) contains(other *memNode) bool {
	if n == other {
		return true
	}
	for _, child := range n.entries {
		if child.contains(other) {
			return true
		}
	}
	return false
}

// each visits the files that have a name below n, in the order of their names.
func (n *memNode) each(visit func(*memContent)) {
	if !n.isDir() {
		visit(n.file)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		n.entries[name].each(visit)
	}
}
