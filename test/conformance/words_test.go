//go:build process

package conformance

import (
	"fmt"
	"net/url"
	"time"
)

const ms = time.Millisecond

func now() time.Time { return time.Now() }

// quoted is a text as the name of a conversation shows it: cut if it is long.
func quoted(text string) string {
	if len(text) > 70 {
		return fmt.Sprintf("%q and more, %d bytes", text[:20], len(text))
	}
	return fmt.Sprintf("%q", text)
}

func escaped(text string) string { return url.QueryEscape(text) }
