package queue

import (
	"cmp"
	"slices"
)

// chunkLen is how many pairs a chunk of a pairList holds at most: 8 KiB.
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

// A pairList keeps pairs in order, in chunks of at most 512 without a pointer in them: 16 bytes for each pair that
// was added in order, about 23 if added at random. Adding and removing cost a binary search and a move within one
// chunk, so there is never a long pause as when a hash table grows. The zero value is empty.
type pairList struct {
	chunks [][]pair // none is empty
	n      int
}

// A place is a position in a pairList, valid until the list is changed.
type place struct{ chunk, i int }

// seek returns the place of the first pair that is not below p.
func (l *pairList) seek(p pair) place {
	c, found := slices.BinarySearchFunc(l.chunks, p, func(chunk []pair, p pair) int { return comparePairs(chunk[0], p) })
	if found || c == 0 {
		return place{c, 0}
	}
	i, _ := slices.BinarySearchFunc(l.chunks[c-1], p, comparePairs)
	if i == len(l.chunks[c-1]) {
		return place{c, 0}
	}
	return place{c - 1, i}
}

// at returns the pair at a place, false behind the last.
func (l *pairList) at(at place) (pair, bool) {
	if at.chunk >= len(l.chunks) {
		return pair{}, false
	}
	return l.chunks[at.chunk][at.i], true
}

// next returns the place that follows.
func (l *pairList) next(at place) place {
	if at.i++; at.i >= len(l.chunks[at.chunk]) {
		return place{at.chunk + 1, 0}
	}
	return at
}

// insert adds p, which is not in the list.
func (l *pairList) insert(p pair) {
	l.n++
	at := l.seek(p)
	if at.i == 0 && at.chunk > 0 { // equally well the end of the chunk before
		at = place{at.chunk - 1, len(l.chunks[at.chunk-1])}
	}
	if len(l.chunks) == 0 || at.i == chunkLen && at.chunk == len(l.chunks)-1 {
		l.chunks = append(l.chunks, append(make([]pair, 0, 8), p))
		return
	}
	if len(l.chunks[at.chunk]) == chunkLen {
		at = l.split(at)
	}
	chunk := l.chunks[at.chunk]
	if len(chunk) == cap(chunk) {
		chunk = append(make([]pair, 0, min(chunkLen, max(8, 4*len(chunk)))), chunk...)
	}
	l.chunks[at.chunk] = slices.Insert(chunk, at.i, p)
}

// split halves the full chunk of a place and returns where the place is now.
func (l *pairList) split(at place) place {
	const half = chunkLen / 2
	chunk := l.chunks[at.chunk]
	upper := append(make([]pair, 0, chunkLen), chunk[half:]...)
	l.chunks[at.chunk] = chunk[:half]
	l.chunks = slices.Insert(l.chunks, at.chunk+1, upper)
	if at.i > half {
		return place{at.chunk + 1, at.i - half}
	}
	return at
}

// set changes the value of the pair at a place; the order must remain.
func (l *pairList) set(at place, value uint64) { l.chunks[at.chunk][at.i].value = value }

// remove takes out the pair at a place.
func (l *pairList) remove(at place) {
	l.n--
	chunk := l.chunks[at.chunk]
	if at.i == 0 {
		chunk = chunk[1:]
	} else {
		chunk = slices.Delete(chunk, at.i, at.i+1)
	}
	l.chunks[at.chunk] = chunk
	switch {
	case len(chunk) == 0:
		l.chunks = slices.Delete(l.chunks, at.chunk, at.chunk+1)
	case len(chunk) < chunkLen/8 && at.chunk+1 < len(l.chunks) && len(l.chunks[at.chunk+1]) < chunkLen/2:
		l.chunks[at.chunk] = append(append(make([]pair, 0, chunkLen), chunk...), l.chunks[at.chunk+1]...)
		l.chunks = slices.Delete(l.chunks, at.chunk+1, at.chunk+2)
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
	for _, chunk := range l.chunks[:at.chunk] {
		l.n -= len(chunk)
	}
	l.chunks = slices.Delete(l.chunks, 0, at.chunk)
	if at.i > 0 {
		l.chunks[0] = slices.Clone(l.chunks[0][at.i:])
		l.n -= at.i
	}
}

// fill makes the list hold pairs, which are in order, and does not keep the slice.
func (l *pairList) fill(pairs []pair) {
	*l = pairList{n: len(pairs)}
	for chunk := range slices.Chunk(pairs, chunkLen) {
		l.chunks = append(l.chunks, slices.Clone(chunk))
	}
}

// keep removes all pairs that the function does not want.
func (l *pairList) keep(wanted func(pair) bool) {
	old := *l
	*l = pairList{}
	for _, chunk := range old.chunks {
		for _, p := range chunk {
			if wanted(p) {
				l.insert(p)
			}
		}
	}
}

// countBelow returns how many pairs have a key below key.
func (l *pairList) countBelow(key int64) int {
	at := l.seek(pair{key: key})
	n := at.i
	for _, chunk := range l.chunks[:at.chunk] {
		n += len(chunk)
	}
	return n
}
