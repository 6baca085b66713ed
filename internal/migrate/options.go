package migrate

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/weirmq/weir/internal/broker"
)

// Options of an import or export.
type Options struct {
	// NSQ is nsqd's data directory: read by an import, made by an export, which wants it missing or empty.
	NSQ string
	// Weir is Weir's data directory: made by an import, where it may be the same as NSQ; read by an export.
	Weir string
	// DryRun only reads an nsqd's directory, and reports what an import would do.
	DryRun bool
	// Terminal is shown the progress; nil: nobody is.
	Terminal io.Writer
	// Logger takes what an operator should know.
	Logger *slog.Logger
}

// Report says what was moved.
type Report struct {
	Queues []QueueReport
	// Notes are what could not be moved, or not as it was, one line each.
	Notes []string
	// Damages counts the notes that tell of messages that could not be read.
	Damages int
}

// QueueReport says what was moved of one queue.
type QueueReport struct {
	Topic    string
	Channel  string // empty: what waits for the topic's channels
	Paused   bool
	Messages int64
	Bytes    int64 // of the bodies
}

// note adds a line.
func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// validName reports whether Weir takes a name, and notes it if not.
func (r *Report) validName(name string) bool {
	if broker.ValidTopicName(name) {
		return true
	}
	r.note("%q is no name of a topic or channel: left out", name)
	return false
}
