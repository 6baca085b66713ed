package member

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParseJoinList reads lists of nodes that say anything; what is taken reads the same again.
func FuzzParseJoinList(f *testing.F) {
	for _, text := range []string{"", "a,b:1,c", "[::1]:4181,::1", "a,a", ":1", "a:", ",,", "[", "a:b:c", "] 0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseJoinList(text)
		if err != nil {
			return
		}
		if again, err := ParseJoinList(strings.Join(list, ",")); err != nil || !slices.Equal(again, list) {
			t.Errorf("%q is %q, which is %q, %v", text, list, again, err)
		}
	})
}
