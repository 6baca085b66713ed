//go:build process

package conformance

import (
	"slices"
	"testing"
)

// nothing stands for the missing side of a difference.
const nothing = "-"

// difference is a place where two transcripts part. A side is nothing where the other has a line more.
type difference struct{ stock, weir string }

// diff returns the differences in order: lines between the longest common subsequence are paired from the top.
func diff(stock, weir []string) []difference {
	common := make([][]int, len(stock)+1) // of stock[i:] and weir[j:]
	for i := range common {
		common[i] = make([]int, len(weir)+1)
	}
	for i := len(stock) - 1; i >= 0; i-- {
		for j := len(weir) - 1; j >= 0; j-- {
			if stock[i] == weir[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var all []difference
	var left, right []string // lines of one side only since the last common one
	flush := func() {
		for i := range max(len(left), len(right)) {
			d := difference{nothing, nothing}
			if i < len(left) {
				d.stock = left[i]
			}
			if i < len(right) {
				d.weir = right[i]
			}
			all = append(all, d)
		}
		left, right = nil, nil
	}
	for i, j := 0, 0; i < len(stock) || j < len(weir); {
		switch {
		case i < len(stock) && j < len(weir) && stock[i] == weir[j]:
			flush()
			i, j = i+1, j+1
		case j == len(weir) || i < len(stock) && common[i+1][j] >= common[i][j+1]:
			left, i = append(left, stock[i]), i+1
		default:
			right, j = append(right, weir[j]), j+1
		}
	}
	flush()
	return all
}

func TestDiffPairsChangedLinesAndFindsMissingOnes(t *testing.T) {
	for _, test := range []struct {
		stock, weir []string
		want        []difference
	}{
		{[]string{"a", "b"}, []string{"a", "b"}, nil},
		{[]string{"a", "b", "c"}, []string{"a", "x", "c"}, []difference{{"b", "x"}}},
		{[]string{"a", "c"}, []string{"a", "b", "c"}, []difference{{nothing, "b"}}},
		{[]string{"a", "b", "c"}, []string{"a", "c", "d"}, []difference{{"b", nothing}, {nothing, "d"}}},
		{nil, []string{"a"}, []difference{{nothing, "a"}}},
		{[]string{"a", "b"}, []string{"b", "a"}, []difference{{"a", nothing}, {nothing, "a"}}},
	} {
		if got := diff(test.stock, test.weir); !slices.Equal(got, test.want) {
			t.Errorf("diff(%q, %q) = %q, want %q", test.stock, test.weir, got, test.want)
		}
	}
}
