// Package migrate brings what a stock nsqd has on disk into a Weir data directory, and back.
//
// Import. Weir's data directory is made aside, in the folder weir-import of where it is to be, with a node's own broker; then it is
// put in its place. Until that begins nothing else is changed, so an import that was cut short, by a crash too, is thrown away
// and begun anew: nothing is lost, nothing is there twice.
//
//	weir-import/data/       the data directory in the making
//	weir-import/COMPLETE    it is complete: from here on the import is only brought to its end
//	nsq-imported/           nsqd's files, moved away when both share the directory
//	FORMAT                  moved last: the import is done, a node starts
//
// A topic has one log, and nsqd a copy of each message for each channel that has it. So a channel's backlog is published to the
// topic and finished in all its other channels; the topic's own backlog, which all channels are to have, comes last. What is kept
// of a message: body, attempts, the order within its queue. It gets a new id and time.
//
// Export reads each channel's unfinished messages and writes a directory of nsqd's, aside too, which then gets its name.
//
// Calls are for one goroutine, while no node runs on the directories: locks see to that.
package migrate

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/node"
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

// openWeir opens or makes a data directory of Weir.
func openWeir(dir string, logger *slog.Logger) (*node.Offline, error) {
	o := node.DefaultOptions()
	o.DataPath = dir
	o.Logger = logger
	o.Store.Sync = commitlog.SyncAlways
	return node.OpenOffline(o)
}

// closeWith closes the directory and joins its error to another.
func closeWith(o *node.Offline, err error) error { return errors.Join(err, o.Close()) }

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// sameDir reports whether two paths name one directory.
func sameDir(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// exists reports whether there is something of that name in a directory.
func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

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

// validName reports whether Weir takes a name, and notes it if not.
func (r *Report) validName(name string) bool {
	if broker.ValidTopicName(name) {
		return true
	}
	r.note("%q is no name of a topic or channel: left out", name)
	return false
}
