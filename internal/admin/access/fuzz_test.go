package access

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzParseTokens reads files of tokens that hold anything. An error never shows a token.
func FuzzParseTokens(f *testing.F) {
	f.Add([]byte("ann admin annstoken-annstoken\n# x\n\nbob read bobstoken-bobstoken"))
	f.Add([]byte("ann admin short"))
	f.Add([]byte("ann boss annstoken-annstoken"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := ParseTokens(bytes.NewReader(text))
		if err == nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 && len(fields[2]) >= minTokenBytes && fields[2] != fields[0] && fields[2] != fields[1] &&
				strings.Contains(err.Error(), fields[2]) && !strings.HasPrefix(line, "#") {
				t.Errorf("%q shows a token", err)
			}
		}
	})
}
