package queue

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPairListBehavesAsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Keys lie about a place where their upper 32 bits change, or not near any.
		border := rapid.SampledFrom([]int64{0, 1<<32 - 1000, 1<<47 + 1<<32 - 10}).Draw(t, "border")
		var l pairList
		var model []pair
		insert := func(p pair) {
			if i, found := slices.BinarySearchFunc(model, p, comparePairs); !found {
				model = slices.Insert(model, i, p)
				l.insert(p)
			}
		}
		drawPair := func(t *rapid.T) pair {
			value := rapid.Uint64Range(0, 3).Draw(t, "value") | rapid.SampledFrom([]uint64{0, 1 << 32, 1 << 63}).Draw(t, "upper bits")
			return pair{border + rapid.Int64Range(0, 2000).Draw(t, "key"), value}
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) { insert(drawPair(t)) },
			"insert many": func(t *rapid.T) {
				first, step := border+rapid.Int64Range(0, 1000).Draw(t, "first"), rapid.Int64Range(-1, 3).Draw(t, "step")
				for i := range int64(700) {
					insert(pair{first + i*step, uint64(i % 5)})
				}
			},
			"remove": func(t *rapid.T) {
				p := drawPair(t)
				i, found := slices.BinarySearchFunc(model, p, comparePairs)
				if l.removePair(p) != found {
					t.Fatalf("removePair(%v) = %v", p, !found)
				}
				if found {
					model = slices.Delete(model, i, i+1)
				}
			},
			"remove many": func(t *rapid.T) {
				i := rapid.IntRange(0, len(model)).Draw(t, "first")
				n := min(rapid.IntRange(0, 600).Draw(t, "n"), len(model)-i)
				for _, p := range model[i : i+n] {
					if !l.removePair(p) {
						t.Fatalf("%v was not there", p)
					}
				}
				model = slices.Delete(model, i, i+n)
			},
			"drop below": func(t *rapid.T) {
				key := border + rapid.Int64Range(0, 300).Draw(t, "key")
				l.dropBelow(key)
				model = slices.DeleteFunc(model, func(p pair) bool { return p.key < key })
			},
			"keep": func(t *rapid.T) {
				if rapid.IntRange(0, 5).Draw(t, "seldom") > 0 {
					t.Skip("not now")
				}
				wanted := func(p pair) bool { return p.value != 2 }
				l.keep(wanted)
				model = slices.DeleteFunc(model, func(p pair) bool { return !wanted(p) })
			},
			"seek": func(t *rapid.T) {
				p := drawPair(t)
				got, ok := l.at(l.seek(p))
				i, _ := slices.BinarySearchFunc(model, p, comparePairs)
				if ok != (i < len(model)) || ok && got != model[i] {
					t.Fatalf("seek(%v) found %v, %v", p, got, ok)
				}
				if n := l.countBelow(p.key); n != countBelow(model, p.key) {
					t.Fatalf("countBelow(%d) = %d", p.key, n)
				}
			},
			"": func(t *rapid.T) {
				var got []pair
				for at := (place{}); ; at = l.next(at) {
					p, ok := l.at(at)
					if !ok {
						break
					}
					got = append(got, p)
				}
				if !slices.Equal(got, model) || l.n != len(model) {
					t.Fatalf("list has %d pairs and counts %d, want %d", len(got), l.n, len(model))
				}
			},
		})
	})
}

func countBelow(model []pair, key int64) (n int) {
	for _, p := range model {
		if p.key < key {
			n++
		}
	}
	return n
}
