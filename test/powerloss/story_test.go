package powerloss

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/vfs"
)

const (
	// finishWindow is what may be forgotten at a cut: a flush interval, and the longest step of a story, within which the cut
	// goes unnoticed.
	finishWindow = 50*time.Millisecond + stepMax
	stepMax      = 20 * time.Millisecond
)

// channels must have every message. They are made before the first publish.
var channels = []string{"a", "b"}

// story is one seed: a broker on a memory disk, through several lives.
type story struct {
	t      *testing.T
	seed   uint64
	totals *totals
	rng    *rand.Rand
	*brokerlife.Story

	disk  *vfs.Mem
	life  *brokerlife.Life
	ready bool // channels exist
}

func (s *story) run() {
	s.rng = rand.New(rand.NewPCG(s.seed, 1))
	s.Story = brokerlife.NewStory(uint32(s.seed))
	s.disk = vfs.NewMem(s.seed)
	for range 2 + s.rng.IntN(3) {
		s.live()
	}
	s.lastLife()
	s.totals.add(s.Story)
	h := s.Rec.History()
	report := history.Check(h, history.Rules{Channels: channels, Drained: true, FinishWindow: finishWindow})
	s.totals.Judged.Add(faultreport.Judged("power loss of a node", s.totals.Cuts-s.totals.Judged.Injected, report))
	if err := report.Err(); err != nil {
		s.t.Errorf("seed %d: %v", s.seed, err)
	}
}

// live opens the broker, works until the power goes or it stops cleanly, and closes what is left.
func (s *story) live() {
	s.totals.Lives++
	cut := 1 + s.rng.IntN(400)
	if s.rng.IntN(5) > 0 {
		s.disk.CrashAfter(cut)
	}
	if !s.open() {
		s.totals.CutsInRecovery++
		s.cut()
		return
	}
	for steps := 20 + s.rng.IntN(150); steps > 0 && !s.disk.Stopped(); steps-- {
		s.step()
		synctest.Wait()
	}
	if s.disk.Stopped() {
		s.cut()
		return
	}
	s.disk.CrashAfter(1 << 30)
	s.totals.CleanStops++
	s.stop()
}

// lastLife has power to the end: every channel is drained, and after a clean stop nothing comes again.
func (s *story) lastLife() {
	if !s.open() {
		s.t.Fatalf("seed %d: cannot open after the last cut", s.seed)
	}
	s.unpause()
	s.drain()
	s.stop()
	if !s.open() {
		s.t.Fatalf("seed %d: cannot open after the clean stop", s.seed)
	}
	s.drain()
	s.stop()
}

// open starts a life. It reports false if the power went meanwhile; any other failure ends the test.
func (s *story) open() bool {
	life, err := s.Open(s.disk, slog.New(slog.DiscardHandler))
	if err == nil {
		s.life = life
		err = life.Broker.Healthy() // a damaged topic stands still, and the node starts all the same
	}
	if err == nil && !s.ready {
		err = life.CreateChannels(brokerlife.Topic, channels...)
		s.ready = err == nil
	}
	s.check("open", err)
	return err == nil
}

// check ends the test on an error, unless the power has gone.
func (s *story) check(what string, err error) {
	if err != nil && !s.disk.Stopped() {
		s.t.Fatalf("seed %d: %s: %v", s.seed, what, err)
	}
}

// cut records the loss of power, ends the life and brings the disk up again.
func (s *story) cut() {
	s.totals.Cuts++
	s.Rec.Killed()
	s.close()
	s.disk = s.disk.Crash(s.rng.Uint64())
}

// stop ends the life cleanly.
func (s *story) stop() {
	s.Rec.Stopped()
	if err := s.close(); err != nil {
		s.t.Fatalf("seed %d: clean stop: %v", s.seed, err)
	}
}

func (s *story) close() (err error) {
	if s.life != nil {
		err = s.life.Close()
	}
	s.life = nil
	synctest.Wait()
	return err
}

// step does one random thing.
func (s *story) step() {
	switch n := s.rng.IntN(100); {
	case n < 30:
		s.publish(0)
	case n < 36:
		s.publish(time.Duration(s.rng.IntN(1500)) * time.Millisecond)
	case n < 76:
		s.consume(channels[s.rng.IntN(len(channels))])
	case n < 90:
		time.Sleep(time.Duration(1+s.rng.IntN(int(stepMax/time.Millisecond))) * time.Millisecond)
	case n < 94:
		s.life.Leave(channels[s.rng.IntN(len(channels))])
	default:
		s.administer()
	}
}

// publish sends a batch.
func (s *story) publish(deferred time.Duration) {
	n := 1 + s.rng.IntN(12)
	if deferred > 0 {
		s.totals.Deferred += n
	}
	s.check("publish", s.life.Publish(n, 40+s.rng.IntN(300), deferred))
}

// consume takes some messages and finishes, requeues or keeps each.
func (s *story) consume(channel string) {
	_, err := s.life.Consume(channel, 1+s.rng.IntN(40), func(int) brokerlife.Verdict {
		switch s.rng.IntN(10) {
		case 0:
			return brokerlife.Keep
		case 1:
			s.totals.Requeues++
			return brokerlife.Requeue
		}
		s.totals.Finishes++
		return brokerlife.Finish
	})
	s.check("consume", err)
}

// drain consumes all channels until nothing is left.
func (s *story) drain() {
	for _, name := range channels {
		s.check("drain", s.life.Drain(name))
	}
}

// administer changes channels that need not have every message, and pauses those that must.
func (s *story) administer() {
	ctx := s.t.Context()
	topic, _ := s.life.Broker.Topic(brokerlife.Topic)
	name := "extra" + string(rune('0'+s.rng.IntN(3)))
	var err error
	switch s.rng.IntN(7) {
	case 0, 1:
		_, err = topic.CreateChannel(ctx, name)
		s.totals.Channels++
	case 2:
		err = topic.DeleteChannel(ctx, name)
	case 3:
		if ch, ok := topic.Channel(name); ok {
			err = ch.Empty(ctx)
		}
	case 4:
		if ch, ok := topic.Channel(channels[s.rng.IntN(len(channels))]); ok {
			err = ch.SetPaused(ctx, s.rng.IntN(2) == 0)
		}
	case 5:
		err = topic.SetPaused(ctx, s.rng.IntN(3) == 0)
	case 6:
		if _, err = s.life.Broker.CreateTopic(ctx, "other"); err == nil && s.rng.IntN(2) == 0 {
			err = s.life.Broker.DeleteTopic(ctx, "other")
		}
	}
	if err != nil && !s.disk.Stopped() && !errors.Is(err, broker.ErrChannelNotFound) {
		s.t.Fatalf("seed %d: administer: %v", s.seed, err)
	}
}

func (s *story) unpause() {
	topic, _ := s.life.Broker.Topic(brokerlife.Topic)
	err := topic.SetPaused(s.t.Context(), false)
	for _, ch := range topic.Channels() {
		err = errors.Join(err, ch.SetPaused(s.t.Context(), false))
		if ch.Name()[0] == 'e' {
			err = errors.Join(err, ch.Empty(s.t.Context()))
		}
	}
	if err != nil {
		s.t.Fatalf("seed %d: unpause: %v", s.seed, err)
	}
}
