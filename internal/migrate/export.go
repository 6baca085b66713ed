package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqdata"
)

// stockMessageBytes is nsqd's --max-msg-size by default.
const stockMessageBytes = 1 << 20

// Export writes the topics, channels and unfinished messages of a stopped node as the data directory of an nsqd. Weir's stays as it
// is. What was deferred is delivered at once: nsqd's files do not know when it is due.
func Export(ctx context.Context, o Options) (*Report, error) {
	if !exists(o.Weir, formatName) {
		return nil, fmt.Errorf("%s is not a data directory of Weir", o.Weir)
	}
	target, aside, err := makeAside(o.NSQ)
	if err != nil {
		return nil, err
	}
	offline, err := openWeir(o.Weir, o.Logger)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(aside))
	}
	e := &exporter{dir: aside, report: &Report{}, progress: progress{terminal: o.Terminal, verb: "exporting", begun: time.Now()}}
	err = closeWith(offline, e.run(ctx, offline.Broker()))
	e.progress.show("\n")
	if err == nil {
		err = syncDir(aside)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("export %s: %w", o.Weir, err), os.RemoveAll(aside))
	}
	if err := os.Rename(aside, target); err != nil { // an empty directory in its place goes
		return nil, fmt.Errorf("put the export in its place: %w", err)
	}
	return e.report, syncDir(filepath.Dir(target))
}

// makeAside makes a directory beside the target, which has to be missing or empty. The rest of an export that was cut short goes.
func makeAside(dir string) (target, aside string, err error) {
	target, err = filepath.Abs(dir)
	if err != nil {
		return "", "", fmt.Errorf("export to %s: %w", dir, err)
	}
	entries, err := os.ReadDir(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("export to %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return "", "", fmt.Errorf("%s is not empty: an export wants a directory of its own", dir)
	}
	aside = target + ".weir-export"
	if err := os.RemoveAll(aside); err != nil {
		return "", "", fmt.Errorf("remove the rest of an earlier export: %w", err)
	}
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return "", "", fmt.Errorf("prepare the export: %w", err)
	}
	return target, aside, nil
}

// exporter is one export.
type exporter struct {
	dir      string
	report   *Report
	progress progress
	deferred int64
	largest  int
}

// run exports all topics, and the list of them last.
func (e *exporter) run(ctx context.Context, b *broker.Broker) error {
	var topics []nsqdata.Topic
	for _, t := range b.Topics() {
		if t.Ephemeral() {
			continue
		}
		if err := t.Failure(); err != nil {
			return fmt.Errorf("topic %s: %w", t.Name(), err)
		}
		exported := nsqdata.Topic{Name: t.Name(), Paused: t.Paused()}
		for _, c := range t.Channels() {
			if c.Ephemeral() {
				continue
			}
			exported.Channels = append(exported.Channels, nsqdata.Channel{Name: c.Name(), Paused: c.Paused()})
			if err := e.queue(ctx, QueueReport{Topic: t.Name(), Channel: c.Name(), Paused: c.Paused()}, c.EachUnfinished); err != nil {
				return err
			}
		}
		if err := e.queue(ctx, QueueReport{Topic: t.Name(), Paused: exported.Paused}, t.EachUndispatched); err != nil {
			return err
		}
		topics = append(topics, exported)
	}
	if e.deferred > 0 {
		e.report.note("%d messages are deferred; nsqd will deliver them at once, its files do not know when they are due", e.deferred)
	}
	if e.largest > stockMessageBytes {
		e.report.note("start nsqd with --max-msg-size=%d or more: it takes larger messages for damage", e.largest)
	}
	return nsqdata.WriteTopics(e.dir, topics)
}

// queue exports one queue.
func (e *exporter) queue(ctx context.Context, report QueueReport, each func(func(*broker.Unfinished) error) (int, error)) error {
	w := nsqdata.NewQueueWriter(e.dir, report.Topic, report.Channel)
	lost, err := each(func(m *broker.Unfinished) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		report.Messages++
		report.Bytes += int64(len(m.Body))
		e.progress.add(len(m.Body))
		e.largest = max(e.largest, len(m.Body))
		if m.DueMs > time.Now().UnixMilli() {
			e.deferred++
		}
		return w.Write(&nsqdata.Message{Timestamp: m.Time, Attempts: m.Attempts, ID: m.ID, Body: m.Body})
	})
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if lost > 0 {
		e.report.note("%d messages of %s were lost to damage and given up by weir log repair", lost,
			strings.TrimSuffix(report.Topic+"/"+report.Channel, "/"))
	}
	e.report.Queues = append(e.report.Queues, report)
	return nil
}
