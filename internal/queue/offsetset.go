package queue

import (
	"math/bits"

	"github.com/weirmq/weir/internal/record"
)

// Offsets are grouped into pages of 4,096, pages into blocks of 64.
const (
	pageBits   = 12
	pageLen    = 1 << pageBits
	pageWords  = pageLen / 64
	blockBits  = 18
	blockLen   = 1 << blockBits
	blockPages = blockLen / pageLen

	// sparePages bounds the bitmaps that a set keeps for reuse.
	sparePages = 8
)

// An offsetSet is a set of offsets that lie near each other: one bit for each offset in pages that are partly in the set;
// nothing but a counter for pages and blocks that are wholly in it or wholly out of it. Membership is O(1), the search for
// the next member or gap reads a word at a time. The zero value is empty.
//
// Its memory is bounded by the span between its lowest and highest member (16 bytes for each 262,144 offsets) and by the
// number of mixed pages (512 bytes each). Callers bound both, see maxSpan and maxMixedPages. Offsets are never negative.
type offsetSet struct {
	first int64      // number of the block top[0]
	top   []blockRef // the blocks from first on
	n     int        // members
	mixed int        // pages that have a bitmap
	spare []*page
}

type page [pageWords]uint64

// A pageRef stands for one page. bits is nil if the page is empty (n == 0) or full (n == pageLen).
type pageRef struct {
	bits *page
	n    int32
}

// A blockRef stands for one block. pages is nil if the block is empty (n == 0) or full (n == blockLen).
type blockRef struct {
	pages *[blockPages]pageRef
	n     int32
}

func blockOf(off record.Offset) int64 { return int64(off) >> blockBits }
func pageOf(off record.Offset) int    { return int(off>>pageBits) & (blockPages - 1) }
func wordOf(off record.Offset) int    { return int(off>>6) & (pageWords - 1) }

// end returns the first offset behind the last block.
func (s *offsetSet) end() record.Offset {
	return record.Offset((s.first + int64(len(s.top))) << blockBits)
}

func (s *offsetSet) contains(off record.Offset) bool {
	b := blockOf(off) - s.first
	if uint64(b) >= uint64(len(s.top)) {
		return false
	}
	blk := &s.top[b]
	if blk.pages == nil {
		return blk.n != 0
	}
	pg := &blk.pages[pageOf(off)]
	if pg.bits == nil {
		return pg.n != 0
	}
	return pg.bits[wordOf(off)]>>(uint(off)&63)&1 != 0
}

// add puts off into the set and reports whether it was new.
func (s *offsetSet) add(off record.Offset) bool {
	b := blockOf(off) - s.first
	if uint64(b) >= uint64(len(s.top)) {
		b = s.reach(off, off)
	}
	blk := &s.top[b]
	if blk.n == blockLen {
		return false
	}
	if blk.pages == nil {
		blk.pages = new([blockPages]pageRef)
	}
	pg := &blk.pages[pageOf(off)]
	if pg.n == pageLen {
		return false
	}
	if pg.bits == nil {
		pg.bits = s.newPage()
	}
	w, m := &pg.bits[wordOf(off)], uint64(1)<<(uint(off)&63)
	if *w&m != 0 {
		return false
	}
	*w |= m
	pg.n++
	blk.n++
	s.n++
	if pg.n == pageLen {
		s.settle(blk, pg)
	}
	return true
}

// addRange puts [from, to) into the set and returns how many were new.
func (s *offsetSet) addRange(from, to record.Offset) int {
	if from >= to {
		return 0
	}
	before := s.n
	s.reach(from, to-1)
	for off := from; off < to; {
		stop := min(to, (off>>pageBits+1)<<pageBits)
		blk := &s.top[blockOf(off)-s.first]
		switch {
		case blk.n == blockLen:
			stop = min(to, (off>>blockBits+1)<<blockBits)
		case off&(blockLen-1) == 0 && to-off >= blockLen:
			s.setBlock(blk, blockLen)
			stop = off + blockLen
		default:
			if blk.pages == nil {
				blk.pages = new([blockPages]pageRef)
			}
			s.setInPage(blk, &blk.pages[pageOf(off)], off, stop)
		}
		off = stop
	}
	return s.n - before
}

// setInPage adds [from, to), which lies within the page pg of blk.
func (s *offsetSet) setInPage(blk *blockRef, pg *pageRef, from, to record.Offset) {
	if pg.n == pageLen {
		return
	}
	if to-from == pageLen {
		added := pageLen - pg.n
		s.dropBitmap(pg)
		pg.n = pageLen
		blk.n += added
		s.n += int(added)
		s.settle(blk, pg)
		return
	}
	if pg.bits == nil {
		pg.bits = s.newPage()
	}
	for off := from; off < to; {
		stop := min(to, (off>>6+1)<<6)
		w := &pg.bits[wordOf(off)]
		added := int32(bits.OnesCount64(wordMask(off, stop) &^ *w))
		*w |= wordMask(off, stop)
		pg.n += added
		blk.n += added
		s.n += int(added)
		off = stop
	}
	s.settle(blk, pg)
}

// wordMask returns the bits of [from, to), which lies within one word and is not empty.
func wordMask(from, to record.Offset) uint64 {
	return ^uint64(0) << (uint(from) & 63) & (^uint64(0) >> (63 - uint(to-1)&63))
}

// nextSet returns the lowest member at or above off.
func (s *offsetSet) nextSet(off record.Offset) (record.Offset, bool) {
	if s.n == 0 {
		return 0, false
	}
	off = max(off, record.Offset(s.first<<blockBits))
	for end := s.end(); off < end; {
		blk := &s.top[blockOf(off)-s.first]
		switch {
		case blk.n == 0:
			off = (off>>blockBits + 1) << blockBits
			continue
		case blk.n == blockLen:
			return off, true
		}
		pg := &blk.pages[pageOf(off)]
		switch {
		case pg.n == 0:
			off = (off>>pageBits + 1) << pageBits
			continue
		case pg.n == pageLen:
			return off, true
		}
		if w := pg.bits[wordOf(off)] >> (uint(off) & 63); w != 0 {
			return off + record.Offset(bits.TrailingZeros64(w)), true
		}
		off = (off>>6 + 1) << 6
	}
	return 0, false
}

// nextUnset returns the lowest offset at or above off that is not a member.
func (s *offsetSet) nextUnset(off record.Offset) record.Offset {
	for {
		b := blockOf(off) - s.first
		if uint64(b) >= uint64(len(s.top)) {
			return off
		}
		blk := &s.top[b]
		switch {
		case blk.n == 0:
			return off
		case blk.n == blockLen:
			off = (off>>blockBits + 1) << blockBits
			continue
		}
		pg := &blk.pages[pageOf(off)]
		switch {
		case pg.n == 0:
			return off
		case pg.n == pageLen:
			off = (off>>pageBits + 1) << pageBits
			continue
		}
		if w := ^pg.bits[wordOf(off)] >> (uint(off) & 63); w != 0 {
			return off + record.Offset(bits.TrailingZeros64(w))
		}
		off = (off>>6 + 1) << 6
	}
}

// countRange returns how many members lie in [from, to).
func (s *offsetSet) countRange(from, to record.Offset) int {
	n := 0
	from, to = max(from, record.Offset(s.first<<blockBits)), min(to, s.end())
	for off := from; off < to; {
		blk := &s.top[blockOf(off)-s.first]
		if off&(blockLen-1) == 0 && to-off >= blockLen || blk.pages == nil {
			stop := min(to, (off>>blockBits+1)<<blockBits)
			if blk.n == blockLen || blk.pages != nil {
				n += int(min(stop-off, record.Offset(blk.n)))
			}
			off = stop
			continue
		}
		pg, stop := &blk.pages[pageOf(off)], min(to, (off>>pageBits+1)<<pageBits)
		n += countInPage(pg, off, stop)
		off = stop
	}
	return n
}

// countInPage counts the members in [from, to), which lies within the page pg.
func countInPage(pg *pageRef, from, to record.Offset) int {
	switch {
	case pg.n == 0:
		return 0
	case pg.n == pageLen:
		return int(to - from)
	case to-from == pageLen:
		return int(pg.n)
	}
	n := 0
	for off := from; off < to; {
		stop := min(to, (off>>6+1)<<6)
		n += bits.OnesCount64(pg.bits[wordOf(off)] & wordMask(off, stop))
		off = stop
	}
	return n
}

// dropBelow removes all members below off and frees what they took.
func (s *offsetSet) dropBelow(off record.Offset) {
	if whole := min(blockOf(off)-s.first, int64(len(s.top))); whole > 0 {
		for i := range s.top[:whole] {
			s.setBlock(&s.top[i], 0)
		}
		rest := copy(s.top, s.top[whole:])
		clear(s.top[rest:])
		s.top = s.top[:rest]
		s.first += whole
	}
	if len(s.top) == 0 || blockOf(off) != s.first || s.top[0].n == 0 {
		return
	}
	blk := &s.top[0]
	if blk.pages == nil {
		s.unfoldBlock(blk)
	}
	for i := range blk.pages[:pageOf(off)] {
		pg := &blk.pages[i]
		blk.n -= pg.n
		s.n -= int(pg.n)
		s.dropBitmap(pg)
		pg.n = 0
	}
	if start := off &^ (pageLen - 1); start < off {
		s.clearInPage(blk, &blk.pages[pageOf(off)], start, off)
	}
	if blk.n == 0 || blk.n == blockLen {
		s.setBlock(blk, blk.n)
	}
}

// clearInPage removes [from, to), which lies within the page pg of blk and is not all of it.
func (s *offsetSet) clearInPage(blk *blockRef, pg *pageRef, from, to record.Offset) {
	if pg.n == 0 {
		return
	}
	if pg.bits == nil {
		pg.bits = s.newPage()
		for i := range pg.bits {
			pg.bits[i] = ^uint64(0)
		}
	}
	for off := from; off < to; {
		stop := min(to, (off>>6+1)<<6)
		w := &pg.bits[wordOf(off)]
		removed := int32(bits.OnesCount64(*w & wordMask(off, stop)))
		*w &^= wordMask(off, stop)
		pg.n -= removed
		blk.n -= removed
		s.n -= int(removed)
		off = stop
	}
	if pg.n == 0 {
		s.dropBitmap(pg)
	}
}

// reach makes the directory cover low to high and returns the position of low's block in it.
func (s *offsetSet) reach(low, high record.Offset) int64 {
	if len(s.top) == 0 {
		s.first = blockOf(low)
	}
	if missing := s.first - blockOf(low); missing > 0 {
		top := make([]blockRef, missing+int64(len(s.top)))
		copy(top[missing:], s.top)
		s.top, s.first = top, blockOf(low)
	}
	if missing := blockOf(high) - s.first + 1 - int64(len(s.top)); missing > 0 {
		s.top = append(s.top, make([]blockRef, missing)...)
	}
	return blockOf(low) - s.first
}

// settle gives up the bitmap of a page, and the pages of a block, that have become full.
func (s *offsetSet) settle(blk *blockRef, pg *pageRef) {
	if pg.n == pageLen {
		s.dropBitmap(pg)
	}
	if blk.n == blockLen {
		blk.pages = nil
	}
}

// setBlock makes a block empty (n == 0) or full (n == blockLen).
func (s *offsetSet) setBlock(blk *blockRef, n int32) {
	if blk.pages != nil {
		for i := range blk.pages {
			s.dropBitmap(&blk.pages[i])
		}
	}
	s.n += int(n - blk.n)
	*blk = blockRef{n: n}
}

// unfoldBlock gives a full block its page references.
func (s *offsetSet) unfoldBlock(blk *blockRef) {
	blk.pages = new([blockPages]pageRef)
	for i := range blk.pages {
		blk.pages[i].n = pageLen
	}
}

func (s *offsetSet) newPage() *page {
	s.mixed++
	if last := len(s.spare) - 1; last >= 0 {
		p := s.spare[last]
		s.spare = s.spare[:last]
		*p = page{}
		return p
	}
	return new(page)
}

func (s *offsetSet) dropBitmap(pg *pageRef) {
	if pg.bits == nil {
		return
	}
	s.mixed--
	if len(s.spare) < sparePages {
		s.spare = append(s.spare, pg.bits)
	}
	pg.bits = nil
}
