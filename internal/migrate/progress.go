package migrate

import (
	"fmt"
	"io"
	"time"
)

// progress shows on a terminal how far the work is.
type progress struct {
	terminal io.Writer
	verb     string
	total    int64 // bytes to read; 0: not known
	done     int64
	messages int64
	begun    time.Time
	shown    time.Time
}

// add counts one message, and shows the sum now and then.
func (p *progress) add(bytes int) {
	p.messages++
	p.done += int64(bytes)
	if p.terminal == nil || p.messages%256 != 0 || time.Since(p.shown) < 200*time.Millisecond {
		return
	}
	p.shown = time.Now()
	p.show("")
}

func (p *progress) show(end string) {
	if p.terminal == nil {
		return
	}
	share := ""
	if p.total > 0 {
		share = fmt.Sprintf(" of about %d", p.total>>20)
	}
	fmt.Fprintf(p.terminal, "\r%s: %d messages, %d%s MiB, %s %s", p.verb, p.messages, p.done>>20, share,
		time.Since(p.begun).Round(time.Second), end)
}
