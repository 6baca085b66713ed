package vfs

import (
	"math"
	"math/rand/v2"
)

const (
	sectorBytes = 512
	pageBytes   = 4096
)

// page is a piece of a file. It may be changed in place only by the file that made it and only until that file's next
// Sync, which is when owner and round still match; after that it may be shared by the durable content and by other disks.
type page struct {
	owner *memContent
	round int
	data  [pageBytes]byte
}

// memContent is what a file holds: now, and for certain on disk. A nil page is a hole of zeros.
type memContent struct {
	pages []*page
	size  int64
	round int // Syncs and clones so far
	// nameless tells that the file has been removed and lives only as long as it is open.
	nameless bool

	durable     []*page
	durableSize int64
	// sizes are the sizes the file had since the last Sync, oldest first; runs of growth are one step.
	sizes []int64
	// unsynced tells that anything changed since the last Sync.
	unsynced bool
}

func pagesFor(size int64) int { return int((size + pageBytes - 1) / pageBytes) }

func pageAt(pages []*page, i int) *page {
	if i < len(pages) {
		return pages[i]
	}
	return nil
}

// writable returns page i for changing.
func (c *memContent) writable(i int) *page {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	old := c.pages[i]
	if old != nil && old.owner == c && old.round == c.round {
		return old
	}
	p := &page{owner: c, round: c.round}
	if old != nil {
		p.data = old.data
	}
	c.pages[i] = p
	return p
}

// write stores b at off. It asks room before each new block and stops when there is none.
func (c *memContent) write(b []byte, off int64, room func() bool) (n int) {
	for n < len(b) {
		pos := off + int64(n)
		i, at := int(pos/pageBytes), int(pos%pageBytes)
		if pageAt(c.pages, i) == nil && !c.nameless && !room() {
			break
		}
		p := c.writable(i)
		n += copy(p.data[at:], b[n:])
	}
	if n > 0 {
		c.unsynced = true
		if end := off + int64(n); end > c.size {
			c.resized(end)
		}
	}
	return n
}

func (c *memContent) read(b []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-off)]
	for n := 0; n < len(b); {
		pos := off + int64(n)
		i, at := int(pos/pageBytes), int(pos%pageBytes)
		if p := pageAt(c.pages, i); p != nil {
			n += copy(b[n:], p.data[at:])
			continue
		}
		hole := b[n:min(len(b), n+pageBytes-at)]
		clear(hole)
		n += len(hole)
	}
	return len(b)
}

// truncate sets the size and zeroes what lies beyond, so that a later extension reads zeros. It returns the blocks freed.
func (c *memContent) truncate(size int64) (freed int) {
	if size == c.size {
		return 0
	}
	c.unsynced = true
	if keep := pagesFor(size); keep < len(c.pages) {
		for _, p := range c.pages[keep:] {
			if p != nil {
				freed++
			}
		}
		clear(c.pages[keep:])
		c.pages = c.pages[:keep]
	}
	if at := int(size % pageBytes); at != 0 && size < c.size && pageAt(c.pages, int(size/pageBytes)) != nil {
		p := c.writable(int(size / pageBytes))
		clear(p.data[at:])
	}
	c.resized(size)
	return freed
}

// resized records a change of size. Growth after growth is one step, because any size in between may be on disk anyway.
func (c *memContent) resized(size int64) {
	last := len(c.sizes) - 1
	before := c.durableSize
	if last >= 1 {
		before = c.sizes[last-1]
	}
	if last >= 0 && size > c.size && c.sizes[last] > before {
		c.sizes[last] = size
	} else {
		c.sizes = append(c.sizes, size)
	}
	c.size = size
}

func (c *memContent) sync() {
	if !c.unsynced {
		return
	}
	c.durable = append(c.durable[:0], c.pages...)
	c.durableSize, c.sizes, c.unsynced = c.size, nil, false
	c.round++
}

func (c *memContent) blocks() (n int) {
	for _, p := range c.pages {
		if p != nil {
			n++
		}
	}
	return n
}

// clone copies the content with what is and what is not durable. Pages are shared; neither side changes a shared one,
// because the clone owns none and the original begins a new round.
func (c *memContent) clone() *memContent {
	c.round++
	d := *c
	d.pages = append([]*page(nil), c.pages...)
	d.durable = append([]*page(nil), c.durable...)
	d.sizes = append([]int64(nil), c.sizes...)
	return &d
}

// crash returns what a power cut may leave of the content, all of it durable. See the model in Mem.
func (c *memContent) crash(rng *rand.Rand, luck luck) *memContent {
	out := &memContent{}
	size, cut, lost := c.durableSize, int64(math.MaxInt64), int64(math.MaxInt64)
	if c.unsynced {
		size, cut, lost = c.crashSize(rng)
	}
	out.pages = make([]*page, pagesFor(size))
	for i := range out.pages {
		before, now := pageAt(c.durable, i), pageAt(c.pages, i)
		start := int64(i) * pageBytes
		whole := start+pageBytes <= min(size, cut, lost)
		if before == now && whole {
			out.pages[i] = now
			continue
		}
		out.pages[i] = crashPage(rng, luck, masked(before, start, cut), now, start, lost)
		clear(out.pages[i].data[min(max(size-start, 0), pageBytes):])
	}
	out.size, out.durableSize = size, size
	out.durable = append([]*page(nil), out.pages...)
	return out
}

// crashSize picks how many of the steps in size reached the disk. Bytes from cut on were cut off by a truncation that did;
// bytes from lost on by one that did not, so they still hold what was durable.
func (c *memContent) crashSize(rng *rand.Rand) (size, cut, lost int64) {
	size, cut, lost = c.durableSize, math.MaxInt64, math.MaxInt64
	done := rng.IntN(len(c.sizes) + 1)
	for i, to := range c.sizes {
		switch {
		case i >= done:
			if to < size {
				lost = min(lost, to)
			}
		case to < size:
			cut, size = min(cut, to), to
		case i == done-1 && rng.IntN(2) == 0: // the last growth got only so far
			size += 1 + rng.Int64N(to-size)
		default:
			size = to
		}
	}
	return size, cut, lost
}

// masked returns a copy of p, which starts at byte start of its file, with zeros from byte cut on.
func masked(p *page, start, cut int64) *page {
	out := &page{}
	if p != nil {
		out.data = p.data
	}
	clear(out.data[min(max(cut-start, 0), pageBytes):])
	return out
}

// crashPage decides sector by sector between before, which it changes and returns, and now.
func crashPage(rng *rand.Rand, luck luck, before, now *page, start, lost int64) *page {
	if now == nil {
		now = &page{}
	}
	for at := 0; at < pageBytes; at += sectorBytes {
		end := min(at+sectorBytes, int(min(max(lost-start, 0), pageBytes)))
		if at >= end || [sectorBytes]byte(before.data[at:at+sectorBytes]) == [sectorBytes]byte(now.data[at:at+sectorBytes]) {
			continue
		}
		crashSector(rng, luck, before.data[at:end], now.data[at:end])
	}
	return before
}

// crashSector keeps, drops or tears one written sector. Only bytes that the writes changed can suffer.
func crashSector(rng *rand.Rand, luck luck, before, now []byte) {
	switch {
	case luck.survives(rng):
		copy(before, now)
	case rng.IntN(2) == 0: // dropped
	case rng.IntN(2) == 0: // torn: new up to a point, or from a point on
		at := rng.IntN(len(now) + 1)
		if rng.IntN(2) == 0 {
			copy(before[:at], now[:at])
		} else {
			copy(before[at:], now[at:])
		}
	default: // garbage
		for i := range now {
			if before[i] != now[i] {
				before[i] = byte(rng.Uint32())
			}
		}
	}
}
