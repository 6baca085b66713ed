package queue

import (
	"testing"

	"pgregory.net/rapid"
)

// drawRange draws a range near page and block boundaries: short ones, and ones of several pages or blocks.
func drawRange(t *rapid.T) (from, to Offset) {
	base := rapid.SampledFrom([]Offset{0, pageLen, 3 * pageLen, blockLen, 2 * blockLen}).Draw(t, "base")
	from = max(0, base+Offset(rapid.IntRange(-130, 130).Draw(t, "from")))
	length := rapid.SampledFrom([]Offset{0, 1, 2, 64, 200, pageLen, pageLen + 1, 2*pageLen - 130, blockLen, blockLen + pageLen}).Draw(t, "length")
	return from, from + length
}

func TestOffsetSetBehavesAsASliceOfBools(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 4*blockLen + 1000
		var s offsetSet
		model := make([]bool, size)
		floor := Offset(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				off, _ := drawRange(t)
				if off < floor {
					t.Skip("below the floor")
				}
				if s.add(off) == model[off] {
					t.Fatalf("add(%d) reports %v", off, !model[off])
				}
				model[off] = true
			},
			"add range": func(t *rapid.T) {
				from, to := drawRange(t)
				from = max(from, floor)
				want := 0
				for off := from; off < to; off++ {
					if !model[off] {
						want++
					}
					model[off] = true
				}
				if got := s.addRange(from, to); got != want {
					t.Fatalf("addRange(%d, %d) added %d, want %d", from, to, got, want)
				}
			},
			"drop below": func(t *rapid.T) {
				off, _ := drawRange(t)
				if off < floor {
					t.Skip("below the floor")
				}
				s.dropBelow(off)
				clear(model[:off])
				floor = off
			},
			"count": func(t *rapid.T) {
				from, to := drawRange(t)
				want := 0
				for off := from; off < to; off++ {
					if model[off] {
						want++
					}
				}
				if got := s.countRange(from, to); got != want {
					t.Fatalf("countRange(%d, %d) = %d, want %d", from, to, got, want)
				}
			},
			"": func(t *rapid.T) { checkOffsetSet(t, &s, model) },
		})
	})
}

// checkOffsetSet walks the set by its runs and compares totals.
func checkOffsetSet(t *rapid.T, s *offsetSet, model []bool) {
	n, off, size := 0, Offset(0), Offset(len(model))
	for off < size {
		from, ok := s.nextSet(off)
		if !ok {
			from = size
		}
		for ; off < from; off++ {
			if model[off] || off%977 == 0 && s.contains(off) {
				t.Fatalf("%d is a member: want %v", off, model[off])
			}
		}
		if !ok {
			break
		}
		to := s.nextUnset(from)
		for ; off < to; off++ {
			if !model[off] || off%977 == 0 && !s.contains(off) {
				t.Fatalf("%d is a member: want %v", off, model[off])
			}
			n++
		}
	}
	mixed := 0
	for _, blk := range s.top {
		if (blk.n == 0 || blk.n == blockLen) != (blk.pages == nil) && blk.n == blockLen {
			t.Fatal("a full block keeps its pages")
		}
		if blk.pages != nil {
			for _, pg := range blk.pages {
				if (pg.bits != nil) == (pg.n == 0 || pg.n == pageLen) {
					t.Fatalf("page with %d members: bitmap %v", pg.n, pg.bits != nil)
				}
				if pg.bits != nil {
					mixed++
				}
			}
		}
	}
	if s.n != n || s.mixed != mixed {
		t.Fatalf("set counts %d members and %d mixed pages, has %d and %d", s.n, s.mixed, n, mixed)
	}
}

func TestAMonthOfFinishedOffsetsBehindOneUnfinishedTakesLittle(t *testing.T) {
	var s offsetSet
	s.addRange(1, 26_000_000_000)
	if s.mixed > 2 || len(s.top) > 100_000 {
		t.Fatalf("%d bitmaps and %d directory entries", s.mixed, len(s.top))
	}
	if got := s.nextUnset(1); got != 26_000_000_000 {
		t.Fatalf("next gap at %d", got)
	}
}
