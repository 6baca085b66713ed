package queue

import (
	"cmp"
	"iter"
	"slices"
	"sort"
)

// chunkLen is how many pairs a chunk of a pairList holds at most: 6 KiB.
const chunkLen = 512

// A pair is what a pairList orders: by key, then by value.
type pair struct {
	key   int64
	value uint64
}

func comparePairs(a, b pair) int {
	if c := cmp.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.value, b.value)
}

// A pairList keeps pairs in order, in chunks of at most 512 without a pointer in them: 12 bytes for each pair that
// was added in order, about 15 if added at random. Adding and removing cost a binary search and a move within one
// chunk, so there is never a long pause as when a hash table grows. The zero value is empty.
type pairList struct {
	chunks []chunk // none is empty
	n      int
}

// A chunk holds pairs whose keys agree in their upper 32 bits: four thousand million offsets, or 49 days of milliseconds. So it
// keeps these once, and a list has a few more chunks where they change.
type chunk struct {
	high  int64 // key >> 32
	pairs []packedPair
}

// A packedPair is a pair within its chunk, in 12 bytes, as it needs no alignment to 8.
type packedPair struct{ key, valueHigh, valueLow uint32 }

func pack(p pair) packedPair {
	return packedPair{uint32(p.key), uint32(p.value >> 32), uint32(p.value)}
}

func (p packedPair) value() uint64 { return uint64(p.valueHigh)<<32 | uint64(p.valueLow) }

func (p packedPair) below(q packedPair) bool {
	return p.key < q.key || p.key == q.key && p.value() < q.value()
}

func (c *chunk) at(i int) pair {
	p := c.pairs[i]
	return pair{c.high<<32 | int64(p.key), p.value()}
}

// search returns how many pairs of the chunk are below p.
func (c *chunk) search(p pair) int {
	switch high := p.key >> 32; {
	case high < c.high:
		return 0
	case high > c.high:
		return len(c.pairs)
	}
	low, end, want := 0, len(c.pairs), pack(p)
	for low < end {
		if mid := int(uint(low+end) / 2); c.pairs[mid].below(want) {
			low = mid + 1
		} else {
			end = mid
		}
	}
	return low
}

// A place is a position in a pairList, valid until the list is changed.
type place struct{ chunk, i int }

// seek returns the place of the first pair that is not below p.
func (l *pairList) seek(p pair) place {
	// How many chunks begin below p; it lies in the last of them or behind it.
	n := sort.Search(len(l.chunks), func(i int) bool { return comparePairs(l.chunks[i].at(0), p) >= 0 })
	if n == 0 {
		return place{}
	}
	if i := l.chunks[n-1].search(p); i < len(l.chunks[n-1].pairs) {
		return place{n - 1, i}
	}
	return place{n, 0}
}

// at returns the pair at a place, false behind the last.
func (l *pairList) at(at place) (pair, bool) {
	if at.chunk >= len(l.chunks) {
		return pair{}, false
	}
	return l.chunks[at.chunk].at(at.i), true
}

// next returns the place that follows.
func (l *pairList) next(at place) place {
	if at.i++; at.i >= len(l.chunks[at.chunk].pairs) {
		return place{at.chunk + 1, 0}
	}
	return at
}

// insert adds p, which is not in the list.
func (l *pairList) insert(p pair) {
	l.n++
	at := l.seek(p)
	high := p.key >> 32
	if at.i == 0 && at.chunk > 0 && l.chunks[at.chunk-1].high == high { // equally well the end of the chunk before
		at = place{at.chunk - 1, len(l.chunks[at.chunk-1].pairs)}
	}
	if at.i == chunkLen && !l.hasChunk(at.chunk+1, high) { // pairs come in order: leave full what is full
		at = place{at.chunk + 1, 0}
	}
	if !l.hasChunk(at.chunk, high) {
		l.chunks = slices.Insert(l.chunks, at.chunk, chunk{high, make([]packedPair, 0, 8)})
	}
	if len(l.chunks[at.chunk].pairs) == chunkLen {
		at = l.split(at)
	}
	c := &l.chunks[at.chunk]
	if len(c.pairs) == cap(c.pairs) {
		c.pairs = append(make([]packedPair, 0, min(chunkLen, max(8, 4*len(c.pairs)))), c.pairs...)
	}
	c.pairs = slices.Insert(c.pairs, at.i, pack(p))
}

// hasChunk reports whether the i-th chunk exists and holds keys with these upper bits.
func (l *pairList) hasChunk(i int, high int64) bool {
	return i < len(l.chunks) && l.chunks[i].high == high
}

// split halves the full chunk of a place, with little room to spare in both, and returns where the place is now.
func (l *pairList) split(at place) place {
	const half, room = chunkLen / 2, chunkLen * 3 / 4
	full := l.chunks[at.chunk]
	l.chunks[at.chunk].pairs = append(make([]packedPair, 0, room), full.pairs[:half]...)
	upper := append(make([]packedPair, 0, room), full.pairs[half:]...)
	l.chunks = slices.Insert(l.chunks, at.chunk+1, chunk{full.high, upper})
	if at.i > half {
		return place{at.chunk + 1, at.i - half}
	}
	return at
}

// set changes the value of the pair at a place; the order must remain.
func (l *pairList) set(at place, value uint64) {
	p := &l.chunks[at.chunk].pairs[at.i]
	*p = pack(pair{int64(p.key), value})
}

// remove takes out the pair at a place.
func (l *pairList) remove(at place) {
	l.n--
	c := &l.chunks[at.chunk]
	if at.i == 0 {
		c.pairs = c.pairs[1:]
	} else {
		c.pairs = slices.Delete(c.pairs, at.i, at.i+1)
	}
	switch next := at.chunk + 1; {
	case len(c.pairs) == 0:
		l.chunks = slices.Delete(l.chunks, at.chunk, next)
	case len(c.pairs) < chunkLen/8 && l.hasChunk(next, c.high) && len(l.chunks[next].pairs) < chunkLen/2:
		c.pairs = append(append(make([]packedPair, 0, chunkLen), c.pairs...), l.chunks[next].pairs...)
		l.chunks = slices.Delete(l.chunks, next, next+1)
	}
}

// removePair takes out exactly p and reports whether it was there.
func (l *pairList) removePair(p pair) bool {
	at := l.seek(p)
	if got, ok := l.at(at); !ok || got != p {
		return false
	}
	l.remove(at)
	return true
}

// dropBelow removes all pairs whose key is below key.
func (l *pairList) dropBelow(key int64) {
	at := l.seek(pair{key: key})
	for _, c := range l.chunks[:at.chunk] {
		l.n -= len(c.pairs)
	}
	l.chunks = slices.Delete(l.chunks, 0, at.chunk)
	if at.i > 0 {
		l.chunks[0].pairs = slices.Clone(l.chunks[0].pairs[at.i:])
		l.n -= at.i
	}
}

// fill makes the list hold pairs, which are in order, and does not keep the slice.
func (l *pairList) fill(pairs []pair) {
	*l = pairList{n: len(pairs)}
	for len(pairs) > 0 {
		high := pairs[0].key >> 32
		n := sort.Search(min(len(pairs), chunkLen), func(i int) bool { return pairs[i].key>>32 != high })
		c := chunk{high, make([]packedPair, n)}
		for i, p := range pairs[:n] {
			c.pairs[i] = pack(p)
		}
		l.chunks = append(l.chunks, c)
		pairs = pairs[n:]
	}
}

// all yields the pairs in order. The list must not change meanwhile.
func (l *pairList) all() iter.Seq[pair] {
	return func(yield func(pair) bool) {
		for _, c := range l.chunks {
			for i := range c.pairs {
				if !yield(c.at(i)) {
					return
				}
			}
		}
	}
}

// keep removes all pairs that the function does not want.
func (l *pairList) keep(wanted func(pair) bool) {
	old := *l
	*l = pairList{}
	for p := range old.all() {
		if wanted(p) {
			l.insert(p)
		}
	}
}

// countBelow returns how many pairs have a key below key.
func (l *pairList) countBelow(key int64) int {
	at := l.seek(pair{key: key})
	n := at.i
	for _, c := range l.chunks[:at.chunk] {
		n += len(c.pairs)
	}
	return n
}
