package failingcalls

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/vfs"
)

// A full disk refuses messages and nothing else: what is there is consumed, and publishing goes on by itself when there is space
// again. The disk fills up before each round of the workload in turn: to the reserve, which is left for finishes, or to the last
// byte.
func TestAFullDiskRefusesMessagesAndGoesOnConsuming(t *testing.T) {
	var count tally
	cases := 0
	for at := range rounds {
		for _, left := range []int64{0, brokerlife.Reserve - 1} {
			for _, power := range []bool{false, true} {
				cases++
				t.Run(fmt.Sprintf("before round %d, %d bytes left, power %v", at, left, power), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { playFull(t, at, left, power, &count) })
				})
			}
		}
	}
	if count.refused == 0 || count.deliveries == 0 {
		t.Errorf("nothing was refused, or nothing delivered: %+v", count)
	}
	count.hits = cases
	faultreport.Write(t, count.row("full disk, one broker", fmt.Sprintf("%d messages refused while full; consuming and finishing went on", count.refused)))
}

func playFull(t *testing.T, at int, left int64, power bool, tally *tally) {
	r := &run{t: t, c: harmless, tally: tally, story: brokerlife.NewStory(uint32(at)), disk: vfs.NewMem(uint64(at))}
	r.begin()
	r.step("create channels", func() error { return r.life.CreateChannels(brokerlife.Topic, channels...) })
	r.made = true
	for i := range rounds {
		if i == at {
			r.full(left)
		}
		r.must(r.life.Publish(6, 200, 0))
		r.consume(channels[0], 6, i)
		r.consume(channels[1], 6, i+3)
	}
	r.lastWords()
	r.story.Rec.Killed()
	r.c.power = power
	r.restart()
	_ = r.life.Close()
	synctest.Wait()
	r.healthy()
	r.judge()
}

// full fills the disk, consumes all there is, and makes room again.
func (r *run) full(left int64) {
	r.must(r.life.Publish(200, 100, 0)) // a backlog
	synctest.Wait()
	usage, err := r.disk.Usage("/")
	r.must(err)
	r.disk.SetCapacity(usage.Total - usage.Free + left)
	time.Sleep(50 * time.Millisecond) // for the broker to see it
	refused := r.story.Refused
	for i := range 5 {
		r.must(r.life.Publish(6, 200, 0))
		time.Sleep(pause)
		synctest.Wait()
		for _, name := range channels {
			_, err := r.life.Consume(name, 20+i, brokerlife.FinishAll)
			r.must(err)
		}
	}
	if r.story.Refused != refused+5*6 {
		r.t.Errorf("%d of %d messages were refused", r.story.Refused-refused, 5*6)
	}
	for _, name := range channels {
		r.must(r.life.Drain(name))
	}
	if left > 0 { // finishes had space: they count after a crash that nobody saw coming
		r.expectFinished()
	}
	r.disk.SetCapacity(0)
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
	answered := r.story.Answered
	r.must(r.life.Publish(6, 200, 0))
	synctest.Wait()
	if r.story.Answered != answered+6 {
		r.t.Error("nothing is published though there is space again")
	}
	r.must(r.life.Broker.Healthy())
}

// expectFinished looks at what a process that started now would find: no channel has anything left.
func (r *run) expectFinished() {
	copied := r.disk.Clone()
	copied.SetCapacity(0)
	other := brokerlife.NewStory(0)
	life, err := other.Open(copied, slog.New(slog.DiscardHandler))
	r.must(err)
	for _, topic := range life.Broker.Stats(brokerlife.Topic, "", false) {
		for _, ch := range topic.Channels {
			if ch.Depth != 0 || ch.Deferred != 0 {
				r.t.Errorf("channel %s has %d messages left, though all were finished on a full disk", ch.Name, ch.Depth)
			}
		}
	}
	r.must(life.Close())
	synctest.Wait()
}

func (r *run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
