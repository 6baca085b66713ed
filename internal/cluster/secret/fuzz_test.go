package secret

import (
	"strings"
	"testing"
)

// FuzzParse reads keys that are anything. An error never shows what was given.
func FuzzParse(f *testing.F) {
	f.Add(strings.Repeat("5e", 32))
	f.Add(strings.Repeat("AAAA", 11))
	f.Add("short")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := Parse(text)
		if err != nil {
			if text = strings.TrimSpace(text); len(text) > 16 && strings.Contains(err.Error(), text) {
				t.Errorf("%q shows the key", err)
			}
			return
		}
		if again, err := Parse(key.Text()); err != nil || again.Text() != key.Text() {
			t.Errorf("%q does not read again: %v", key.Text(), err)
		}
	})
}
