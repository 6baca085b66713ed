package damage

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/vfs"
)

// examination is what is done with one damaged disk.
type examination struct {
	t       *testing.T
	patient *patient
	disk    *vfs.Mem
	what    string
	tally   *tally
	log     strings.Builder // warnings and errors of the broker under way
}

func (x *examination) run() {
	x.tally.acknowledged += len(x.patient.placed)
	outlook := x.patient.logs[x.patient.topic].look(x.disk)
	damaged := x.disk.Clone()
	err := x.start(outlook)
	if err == nil {
		return
	}
	x.refused(err)
	x.repair(damaged, outlook)
}

func (x *examination) fail(format string, args ...any) {
	x.t.Helper()
	x.t.Errorf("%s\n%s\n%s", x.what, fmt.Sprintf(format, args...), x.log.String())
}

func (x *examination) logger() *slog.Logger {
	x.log.Reset()
	return slog.New(slog.NewTextHandler(&x.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// start starts the broker and drains it. It returns why that is refused.
func (x *examination) start(o outlook) error {
	story := brokerlife.NewStory(x.patient.run)
	life, err := story.Open(x.disk, x.logger())
	synctest.Wait()
	if err != nil {
		x.tally.outcomes[refusedStart]++
		return err
	}
	class := topicRefused
	if err = life.Broker.Healthy(); err == nil {
		if _, ok := life.Broker.Topic(brokerlife.Topic); !ok {
			x.tally.lost++
			x.fail("the topic is gone in silence")
		} else {
			class = readRefused
			err = x.drain(life, story, o)
		}
	}
	closed := life.Close()
	synctest.Wait()
	switch {
	case err != nil:
		x.tally.outcomes[class]++
	case closed != nil:
		x.fail("close: %v", closed)
	}
	return err
}

// drain consumes all there is and judges it.
func (x *examination) drain(life *brokerlife.Life, story *brokerlife.Story, o outlook) error {
	for _, name := range channels {
		if err := life.Drain(name); err != nil {
			return err
		}
	}
	x.judge(story.Rec.History(), o)
	if err := life.Broker.Healthy(); err != nil {
		x.fail("it was drained, and is unhealthy: %v", err)
	}
	return nil
}

// judge compares what was consumed with what was left.
func (x *examination) judge(h *history.History, o outlook) {
	got := map[string]map[history.Key]int{}
	for _, name := range channels {
		got[name] = map[history.Key]int{}
	}
	for _, e := range h.Events {
		switch e.Kind {
		case history.Foreign:
			x.tally.phantom++
			x.fail("a message came that nobody sent")
		case history.Delivered:
			x.tally.delivered++
			got[h.Channels[e.Channel]][e.Key]++
			if !x.patient.sent[e.Key] {
				x.tally.phantom++
				x.fail("message %v was never sent", e.Key)
			}
		}
	}
	class := exact
	cutAllowed := o.missing > o.durable || o.missing == 0 && !o.headers
	for offset, k := range x.patient.placed {
		for _, name := range channels {
			n := got[name][k]
			left := x.patient.left[name][k]
			if n > 1 {
				x.tally.duplicated += n - 1
			}
			if left == (n > 0) {
				continue
			}
			class = cut
			lost := left && (!cutAllowed || o.entryOf[offset] != 0 && o.entryOf[offset] < o.missing)
			again := !left && !cutAllowed
			if lost || again {
				x.tally.lost++
				x.fail("message %v at %d, entry %d, channel %s: delivered %d times, finished before: %v; missing from entry %d on, durable up to %d",
					k, offset, o.entryOf[offset], name, n, !left, o.missing, o.durable)
				return
			}
		}
	}
	x.tally.outcomes[class]++
}

// refused demands that a refusal says what is wrong where, and what to do.
func (x *examination) refused(err error) {
	var damage *commitlog.DamageError
	switch {
	case errors.As(err, &damage):
		if !strings.HasPrefix(damage.Path, brokerlife.Dir) || !strings.Contains(err.Error(), "byte") || !strings.Contains(err.Error(), "weir log repair "+brokerlife.Dir) {
			x.fail("the refusal does not say what to do: %v", err)
		}
	case !strings.Contains(err.Error(), brokerlife.Dir) && !strings.Contains(err.Error(), "restore"):
		x.fail("the refusal names no file: %v", err)
	}
}

// repair repairs all logs and starts again.
func (x *examination) repair(disk *vfs.Mem, o outlook) {
	dirs, err := commitlog.FindLogs(disk, brokerlife.Dir)
	if err != nil {
		x.tally.outcomes[repairRefused]++
		x.refused(err)
		return
	}
	refused := false
	reports := map[string]*commitlog.Report{}
	for _, dir := range dirs {
		report, err := commitlog.Repair(disk, dir, false)
		if err != nil {
			refused = true
			x.refused(err)
		}
		reports[dir] = report
	}
	if refused {
		x.tally.outcomes[repairRefused]++
		return
	}
	x.tally.outcomes[repaired]++
	x.compare(disk, reports[x.patient.topic], o)
	x.afterRepair(disk)
}

// compare reads what a repair has left of the topic's log.
func (x *examination) compare(disk *vfs.Mem, report *commitlog.Report, o outlook) {
	store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: brokerlife.Dir, Logger: x.logger()})
	if err != nil {
		return // something else is in the way: afterRepair says what
	}
	defer synctest.Wait()
	defer store.Close()
	var id commitlog.LogID
	if _, err := fmt.Sscanf(path.Base(x.patient.topic), "%x-%d", &id.Topic, &id.Partition); err != nil {
		x.t.Fatal(err)
	}
	log, err := store.Open(id, nothing{}, commitlog.LogOptions{})
	if err != nil {
		x.fail("a repaired log does not open: %v\n%+v", err, report)
		return
	}
	if _, _, err := log.Checkpoint(); err != nil {
		x.fail("checkpoint of a repaired log: %v", err)
	}
	reader := log.NewReader()
	b := log.Bounds()
	for offset, k := range x.patient.placed {
		body, err := bodyAt(reader, offset, b.Next)
		switch key, perr := history.Parse(x.patient.run, body); {
		case err == nil && (perr != nil || key != k):
			x.tally.phantom++
			x.fail("after the repair there is something else at offset %d: %v %v, not %v", offset, perr, key, k)
		case err == nil:
		case offset < b.Start && errors.Is(err, commitlog.ErrOffsetOutOfRange): // trimmed
			if o.intact[offset] {
				x.fail("the repair gave up offset %d, which is intact, as trimmed: %v\n%+v", offset, err, report)
			}
		case o.intact[offset]:
			x.tally.lost++
			x.fail("the repair gave up offset %d, which is intact: %v\n%+v", offset, err, report)
		case !listed(report, offset, o.entryOf[offset]) && o.entryOf[offset] != 0 && o.entryOf[offset] <= o.durable:
			x.tally.lost++
			x.fail("the repair lost offset %d, entry %d, without a word (durable up to %d): %v\n%+v", offset, o.entryOf[offset], o.durable, err, report)
		default:
			continue
		}
		if x.t.Failed() {
			return
		}
	}
}

// listed tells whether a report names a message as lost, or its entry: of what lay before a missing first segment, offsets are not
// known; and without an identity, nor is where the log began.
func listed(report *commitlog.Report, offset record.Offset, entry uint64) bool {
	for _, p := range report.Problems {
		if entry < uint64(report.First) && strings.Contains(p.Action, "is not known") {
			return true
		}
		if p.First <= offset && offset < p.Next || uint64(p.FirstIndex) <= entry && entry <= uint64(p.LastIndex) {
			return true
		}
	}
	return false
}

func bodyAt(r *commitlog.Reader, offset, end record.Offset) ([]byte, error) {
	if offset >= end {
		return nil, fmt.Errorf("%w: the log ends at %d", commitlog.ErrOffsetOutOfRange, end)
	}
	batch, _, err := r.Batch(offset, end)
	if err != nil {
		return nil, err
	}
	for it := batch.Records(); it.Next(); {
		if rec := it.Record(); rec.Offset == offset {
			return rec.Value, nil
		}
	}
	return nil, fmt.Errorf("no offset %d in the batch at %d", offset, batch.BaseOffset())
}

// nothing is a source without entries.
type nothing struct{}

func (nothing) Collect(int) []record.Entry { return nil }
func (nothing) Done(error)                 {}

// afterRepair starts the broker, drains it, and has it take something new.
func (x *examination) afterRepair(disk *vfs.Mem) {
	story := brokerlife.NewStory(x.patient.run)
	life, err := story.Open(disk, x.logger())
	synctest.Wait()
	if err != nil {
		x.stillRefused(err)
		return
	}
	defer synctest.Wait()
	defer life.Close()
	if err := life.Broker.Healthy(); err != nil {
		x.stillRefused(err)
		return
	}
	if err := life.CreateChannels(brokerlife.Topic, channels...); err != nil {
		x.fail("after the repair: %v", err)
		return
	}
	for _, name := range channels {
		if err := life.Drain(name); err != nil {
			x.fail("after the repair: %v", err)
		}
	}
	for _, e := range story.Rec.History().Events {
		if e.Kind == history.Foreign || e.Kind == history.Delivered && !x.patient.sent[e.Key] {
			x.fail("after the repair message %v came, which nobody sent", e.Key)
		}
	}
	before := story.Deliveries
	if err := life.Publish(3, 100, 0); err != nil {
		x.fail("after the repair: %v", err)
	}
	synctest.Wait()
	for _, name := range channels {
		if err := life.Drain(name); err != nil {
			x.fail("after the repair: %v", err)
		}
	}
	if story.Answered != 3 || story.Deliveries != before+6 {
		x.fail("after the repair, of 3 messages in 2 channels %d were answered and %d delivered", story.Answered, story.Deliveries-before)
	}
}

// stillRefused judges a start that a repair of all logs did not make possible.
func (x *examination) stillRefused(err error) {
	var damage *commitlog.DamageError
	if errors.As(err, &damage) && path.Base(damage.Path) != "FORMAT" {
		x.fail("after the repair: %v", err)
	}
	x.refused(err)
}
