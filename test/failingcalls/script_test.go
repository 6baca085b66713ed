package failingcalls

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/vfs"
)

// channels must have every message. They are made before the first publish.
var channels = []string{"a", "b"}

const (
	rounds = 12
	pause  = 20 * time.Millisecond
	// finishWindow is what may be forgotten when a life ends without warning: a flush that found the disk full, the one after
	// it, and the step in which the end goes unnoticed.
	finishWindow = 2*50*time.Millisecond + 2*pause
)

// run is the workload of one case.
type run struct {
	t     *testing.T
	c     faultCase
	tally *tally
	story *brokerlife.Story

	disk  *vfs.Mem
	fault *vfs.Fault // of this life
	life  *brokerlife.Life
	calls int // of earlier lives
	// writes counts those of earlier lives.
	writes int
	hit    bool // the fault has struck
	first  vfs.Call
	made   bool // the channels exist: messages may be published
	sick   bool // this life's broker has said that it takes nothing more
}

// play runs the script on a disk with the case's fault, then on a healthy one.
func play(t *testing.T, c faultCase, tally *tally) {
	r := &run{t: t, c: c, tally: tally, story: brokerlife.NewStory(uint32(c.nth)), disk: vfs.NewMem(uint64(c.nth))}
	for life := range 3 {
		r.begin()
		if r.life != nil {
			r.script(life)
		}
		r.end(life != 1)
	}
	tally.calls, tally.writes = r.calls, r.writes
	r.healthy()
	r.judge()
}

// inject puts the fault over the disk of a new process: what is left to count, if it has not struck.
func (r *run) inject() {
	r.fault = vfs.NewFault(r.disk)
	done := r.calls
	if r.c.mode.op == vfs.OpWrite {
		done = r.writes
	}
	if !r.hit || r.c.mode.times == 0 {
		r.fault.Add(vfs.Rule{Op: r.c.mode.op, Nth: max(1, r.c.nth-done), Times: r.c.mode.times, Err: r.c.mode.err, Part: r.c.mode.part})
	}
}

// begin starts a life. A start that fails is tried again, as an operator does: once more on the disk as it is, then on one that is
// well.
func (r *run) begin() {
	wasHit := r.hit
	for attempt := range 3 {
		r.inject()
		if attempt == 2 || attempt == 1 && wasHit {
			r.fault.Clear() // the disk is well again
			r.hit = true
		}
		life, err := r.story.Open(r.fault, slog.New(slog.DiscardHandler))
		r.look()
		if err == nil {
			r.life, r.sick = life, false
			return
		}
		r.tally.refusedStarts++
		r.expected("open", err)
		if !namesPath(err) {
			r.t.Fatalf("%v: the start is refused without naming a file: %v", r.c, err)
		}
		r.restart()
	}
	r.t.Fatalf("%v: the broker does not start", r.c)
}

// look notes whether the fault has struck.
func (r *run) look() {
	if r.hit || r.fault.Hits() == 0 {
		return
	}
	r.hit, r.first = true, r.fault.First()
	r.tally.hits++
	if r.tally.failed != nil {
		r.tally.failed[r.first.Op]++
	}
}

// restart replaces the disk by what the next process finds.
func (r *run) restart() {
	r.look()
	r.calls += r.fault.Calls(vfs.OpAny)
	r.writes += r.fault.Calls(vfs.OpWrite)
	if r.c.power {
		r.disk = r.disk.Crash(uint64(r.c.nth))
	} else {
		r.disk = r.disk.Kill()
	}
}

// end ends a life, cleanly or not.
func (r *run) end(clean bool) {
	if !clean {
		r.lastWords()
		r.story.Rec.Killed()
		r.restart()
		_ = r.life.Close() // on a disk that has stopped it ends the goroutines and changes nothing
		synctest.Wait()
		return
	}
	r.step("pause", func() error { return r.pauseAll(false) })
	r.story.Rec.Stopped()
	if err := r.life.Close(); err != nil {
		r.look()
		r.expected("close", err)
		r.story.Rec.Killed()
	}
	synctest.Wait()
	r.restart()
}

// lastWords publishes just before the process dies: nothing written later covers up what went wrong.
func (r *run) lastWords() {
	if !r.made {
		return
	}
	if err := r.life.Publish(6, 200, 0); err != nil {
		r.expected("publish", err)
	}
	synctest.Wait()
}

// expected ends the test on an error that no fault can have caused.
func (r *run) expected(what string, err error) {
	r.t.Helper()
	r.look()
	if !r.hit {
		r.t.Fatalf("%v: %s: %v", r.c, what, err)
	}
}

// step does one thing and lets time pass.
func (r *run) step(what string, do func() error) {
	r.t.Helper()
	if err := do(); err != nil {
		r.expected(what, err)
	}
	time.Sleep(pause)
	synctest.Wait()
	if err := r.life.Broker.Healthy(); err != nil && !r.sick {
		r.expected("healthy", err)
		if !namesPath(err) && r.c.mode.err != vfs.ErrNoSpace {
			r.t.Fatalf("%v: the broker is unhealthy without naming a file: %v", r.c, err)
		}
		r.sick = true
		r.tally.failedLives++
		r.story.Rec.Killed() // what was finished just now may come again
	}
}

// script is what happens in one life.
func (r *run) script(life int) {
	if !r.made {
		r.step("create channels", func() error {
			err := r.life.CreateChannels(brokerlife.Topic, channels...)
			r.made = err == nil
			return err
		})
	}
	if !r.made {
		return
	}
	for i := range rounds {
		r.step("publish", func() error { return r.life.Publish(6, 200, 0) })
		r.consume(channels[0], 6, i)
		r.consume(channels[1], 6, i+3)
		switch i {
		case 1:
			r.step("defer", func() error { return r.life.Publish(3, 100, 700*time.Millisecond) })
		case 2:
			r.step("create another topic", func() error { return r.life.CreateChannels("other", "x") })
		case 3:
			r.step("create a channel", func() error { return r.life.CreateChannels(brokerlife.Topic, "extra") })
		case 4:
			r.step("pause", func() error { return r.pauseAll(true) })
			r.step("resume", func() error { return r.pauseAll(false) })
		case 6:
			r.step("delete a channel", func() error {
				topic, _ := r.life.Broker.Topic(brokerlife.Topic)
				return brokerlife.Change(func(ctx context.Context) error { return topic.DeleteChannel(ctx, "extra") })
			})
		case 8:
			r.step("delete a topic", func() error {
				return brokerlife.Change(func(ctx context.Context) error { return r.life.Broker.DeleteTopic(ctx, "other") })
			})
		case 9:
			r.life.Leave(channels[0])
		}
	}
	for range 5 { // checkpoints and trims
		r.step("rest", func() error { return nil })
	}
}

// consume takes some messages; what is finished by a broker that is failing would have to come again, so nothing is finished then.
func (r *run) consume(channel string, n, salt int) {
	if r.sick {
		return
	}
	r.step("consume", func() error {
		_, err := r.life.Consume(channel, n, func(i int) brokerlife.Verdict {
			switch (i + salt) % 7 {
			case 0:
				return brokerlife.Keep
			case 1:
				return brokerlife.Requeue
			}
			return brokerlife.Finish
		})
		return err
	})
}

// pauseAll pauses or resumes the topic and a channel.
func (r *run) pauseAll(paused bool) error {
	topic, ok := r.life.Broker.Topic(brokerlife.Topic)
	if !ok {
		return nil
	}
	return brokerlife.Change(func(ctx context.Context) error {
		err := topic.SetPaused(ctx, paused)
		if ch, ok := topic.Channel(channels[0]); ok && err == nil {
			err = ch.SetPaused(ctx, paused)
		}
		return err
	})
}

// healthy brings the broker up on a disk that is well, drains it, and does so again after a clean stop.
func (r *run) healthy() {
	for range 2 {
		life, err := r.story.Open(r.disk, slog.New(slog.DiscardHandler))
		if err != nil {
			r.t.Fatalf("%v: open on a healthy disk: %v", r.c, err)
		}
		r.life, r.fault = life, vfs.NewFault(r.disk)
		if err := life.Broker.Healthy(); err != nil {
			r.t.Errorf("%v: unhealthy on a healthy disk: %v", r.c, err)
		} else if r.made {
			r.drain()
		}
		r.story.Rec.Stopped()
		if err := life.Close(); err != nil {
			r.t.Errorf("%v: close on a healthy disk: %v", r.c, err)
		}
		synctest.Wait()
	}
}

func (r *run) drain() {
	if err := r.pauseAll(false); err != nil {
		r.t.Errorf("%v: resume on a healthy disk: %v", r.c, err)
	}
	for _, name := range channels {
		if err := r.life.Drain(name); err != nil {
			r.t.Errorf("%v: drain on a healthy disk: %v", r.c, err)
		}
	}
}

// judge checks what was recorded.
func (r *run) judge() {
	s := r.story
	if s.Waiting != 0 || s.Twice != 0 {
		r.t.Errorf("%v: %d messages were never answered, %d have the place of another", r.c, s.Waiting, s.Twice)
	}
	report := history.Check(s.Rec.History(), history.Rules{Channels: channels, Drained: true, FinishWindow: finishWindow})
	if err := report.Err(); err != nil {
		r.t.Errorf("%v (failed: %+v): %v", r.c, r.first, err)
	}
	n := r.tally
	n.answered += s.Answered
	n.refused += s.Refused
	n.unknown += s.Unknown
	n.deliveries += s.Deliveries
	n.lost += report.Count(history.Lost)
	n.phantom += report.Count(history.Phantom)
	for _, ch := range report.Channels {
		n.duplicates += ch.Duplicates
	}
}

// namesPath tells whether an error says which file or directory it is about.
func namesPath(err error) bool { return strings.Contains(err.Error(), " /") }
