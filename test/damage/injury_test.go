package damage

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/vfs"
)

// injury is a way to damage one file of a disk. It returns what it did, or "" if there was nothing to do.
type injury struct {
	name string
	do   func(p *patient, disk *vfs.Mem, rng *rand.Rand) string
}

var injuries = []injury{
	{"flipped bit", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, b := p.pick(disk, rng)
		at := place(rng, len(b))
		b[at] ^= 1 << rng.IntN(8)
		put(disk, name, b)
		return fmt.Sprintf("%s: bit flipped in byte %d", name, at)
	}},
	{"garbage", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, b := p.pick(disk, rng)
		at, n := place(rng, len(b)), 1+rng.IntN(600)
		for i := at; i < min(at+n, len(b)); i++ {
			b[i] = byte(rng.Uint32())
		}
		put(disk, name, b)
		return fmt.Sprintf("%s: %d bytes of garbage at %d", name, n, at)
	}},
	{"zeroed range", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, b := p.pick(disk, rng)
		at, n := place(rng, len(b)), 1+rng.IntN(600)
		if rng.IntN(2) == 0 { // a sector
			at, n = at/512*512, 512<<rng.IntN(3)
		}
		clear(b[at:min(at+n, len(b))])
		put(disk, name, b)
		return fmt.Sprintf("%s: %d zeros at %d", name, n, at)
	}},
	{"truncated file", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, b := p.pick(disk, rng)
		at := place(rng, len(b))
		put(disk, name, b[:at])
		return fmt.Sprintf("%s: truncated from %d to %d", name, len(b), at)
	}},
	{"longer file", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, b := p.pick(disk, rng)
		tail := make([]byte, 1+rng.IntN(5000))
		if rng.IntN(2) == 0 {
			for i := range tail {
				tail[i] = byte(rng.Uint32())
			}
		}
		put(disk, name, append(b, tail...))
		return fmt.Sprintf("%s: %d bytes appended", name, len(tail))
	}},
	{"doubled block", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, b := p.pick(disk, rng)
		from, to := place(rng, len(b))/8*8, place(rng, len(b))/8*8
		copy(b[to:], slices.Clone(b[from:min(len(b), from+512)]))
		put(disk, name, b)
		return fmt.Sprintf("%s: block at %d copied to %d", name, from, to)
	}},
	{"misdirected block", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		source, other := p.pick(disk, rng)
		name, b := p.pick(disk, rng)
		from, to := place(rng, len(other))/8*8, place(rng, len(b))/8*8
		copy(b[to:], slices.Clone(other[from:min(len(other), from+512)]))
		put(disk, name, b)
		return fmt.Sprintf("%s: block at %d comes from %s at %d", name, to, source, from)
	}},
	{"swapped files", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		one, a := p.pick(disk, rng)
		for range 50 {
			other, b := p.pick(disk, rng)
			if other != one && path.Ext(other) == path.Ext(one) {
				put(disk, one, b)
				put(disk, other, a)
				return fmt.Sprintf("%s and %s swapped", one, other)
			}
		}
		return ""
	}},
	{"older copy of a file", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		for range 50 {
			older := p.older[rng.IntN(len(p.older))]
			files := walk(older, brokerlife.Dir)
			slices.SortFunc(files, p.inOrder)
			name := files[rng.IntN(len(files))]
			b := read(older, name)
			if now := read(disk, name); !slices.Equal(b, now) && parentThere(disk, name) {
				put(disk, name, b)
				return fmt.Sprintf("%s: older copy of %d bytes in place of %d", name, len(b), len(now))
			}
		}
		return ""
	}},
	{"missing file", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, _ := p.pick(disk, rng)
		if disk.Remove(name) != nil {
			return ""
		}
		return name + ": removed"
	}},
	{"renamed file", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		name, _ := p.pick(disk, rng)
		to := path.Join(path.Dir(name), strayName(rng))
		if parentThere(disk, to) && disk.Rename(name, to) == nil {
			return fmt.Sprintf("%s: renamed to %s", name, to)
		}
		return ""
	}},
	{"stray file", func(p *patient, disk *vfs.Mem, rng *rand.Rand) string {
		dir := path.Dir(p.files[rng.IntN(len(p.files))])
		name := path.Join(dir, strayName(rng))
		if _, err := disk.Stat(name); err == nil {
			return ""
		}
		if rng.IntN(3) == 0 {
			if disk.MkdirAll(name) != nil {
				return ""
			}
			return name + ": stray directory"
		}
		b := make([]byte, rng.IntN(3000))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		if rng.IntN(2) == 0 { // somebody's backup
			_, b = p.pick(disk, rng)
		}
		put(disk, name, b)
		return fmt.Sprintf("%s: stray file of %d bytes", name, len(b))
	}},
}

// pick draws a file that is not empty.
func (p *patient) pick(disk *vfs.Mem, rng *rand.Rand) (string, []byte) {
	for {
		name := p.files[rng.IntN(len(p.files))]
		if b := read(disk, name); len(b) > 0 {
			return name, b
		}
	}
}

// place draws a byte of a file: anywhere, or near the ends, where headers and marks are.
func place(rng *rand.Rand, size int) int {
	switch near := min(size, 130); rng.IntN(4) {
	case 0:
		return rng.IntN(near)
	case 1:
		return size - 1 - rng.IntN(near)
	}
	return rng.IntN(size)
}

// strayName draws a name that means something in a data directory, or nothing.
func strayName(rng *rand.Rand) string {
	number := fmt.Sprintf("%020d", rng.IntN(120))
	names := []string{number + ".log", number + ".new", number + ".state", number + ".index", number + ".log.bak", number,
		"log.tmp", "FORMAT", "log", "votes", "README", "trash", "imports", "0000000000000007-00000", "damaged", ".hidden", "lost+found"}
	return names[rng.IntN(len(names))]
}

func parentThere(disk vfs.FS, name string) bool {
	info, err := disk.Stat(path.Dir(name))
	return err == nil && info.IsDir
}

// put replaces or makes a file, durably.
func put(disk *vfs.Mem, name string, b []byte) {
	_ = disk.Remove(name)
	f, err := disk.Create(name)
	if err != nil {
		panic(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
	if err := disk.SyncAll("/"); err != nil {
		panic(err)
	}
}
