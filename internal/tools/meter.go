package tools

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// How often a Meter shows how far the work is: a person sees it move, a log gets a line now and then.
const (
	terminalEvery = 200 * time.Millisecond
	logEvery      = 10 * time.Second
)

// Meter counts what a consuming tool does and reports it: as one line over itself on a terminal, as a line of the log otherwise,
// and as a total at the end. The counters may be used from any goroutine.
type Meter struct {
	// Tool is the name that a terminal sees.
	Tool string
	// Terminal is where a person watches; nil means that the Logger gets the progress.
	Terminal io.Writer
	// Logger gets the progress, if Every asks for it, and the totals, when there is no terminal.
	Logger *slog.Logger
	// Progress has the Logger told the progress every ten seconds, and not the totals alone.
	Progress bool

	// Done counts messages that the destination has: they are finished.
	Done atomic.Int64
	// Bytes are those of their bodies.
	Bytes atomic.Int64
	// Failed counts deliveries that the destination did not take; they will come again.
	Failed atomic.Int64
	// Skipped counts messages finished without being passed on, as a filter or a sample asked for.
	Skipped atomic.Int64
}

// NewMeter returns the meter of a tool that logs its totals.
func NewMeter(tool string) *Meter { return &Meter{Tool: tool, Logger: slog.Default()} }

// Count counts one message that the destination has.
func (m *Meter) Count(body []byte) {
	m.Done.Add(1)
	m.Bytes.Add(int64(len(body)))
}

// Start begins to report; the function returned ends it with the totals.
func (m *Meter) Start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	begun := time.Now()
	running.Go(func() { m.report(ctx, begun) })
	return func() {
		cancel()
		running.Wait()
		if m.Terminal != nil {
			fmt.Fprintf(m.Terminal, "\r%s\n", m.line(begun))
			return
		}
		m.log("totals", begun)
	}
}

// report shows the progress until ctx ends.
func (m *Meter) report(ctx context.Context, begun time.Time) {
	every := logEvery
	if m.Terminal != nil {
		every = terminalEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch {
		case m.Terminal != nil:
			fmt.Fprintf(m.Terminal, "\r%s ", m.line(begun))
		case m.Progress:
			m.log("progress", begun)
		}
	}
}

// line is what a person sees.
func (m *Meter) line(begun time.Time) string {
	took := time.Since(begun)
	return fmt.Sprintf("%s: %d done (%d bytes), %d failed, %d skipped in %s, %.0f/s", m.Tool, m.Done.Load(), m.Bytes.Load(),
		m.Failed.Load(), m.Skipped.Load(), took.Round(100*time.Millisecond), float64(m.Done.Load())/took.Seconds())
}

// log writes the counters as a line of the log.
func (m *Meter) log(message string, begun time.Time) {
	m.Logger.Info(message, "done", m.Done.Load(), "bytes", m.Bytes.Load(), "failed", m.Failed.Load(), "skipped", m.Skipped.Load(),
		"seconds", time.Since(begun).Seconds())
}
