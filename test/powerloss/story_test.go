package powerloss

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/vfs"
)

const (
	topicName  = "t"
	msgTimeout = 500 * time.Millisecond
	// finishWindow is what may be forgotten at a cut: a flush interval, and the longest step of a story, within which the cut
	// goes unnoticed.
	finishWindow = 50*time.Millisecond + stepMax
	stepMax      = 20 * time.Millisecond
	dataDir      = "/data"
)

// channels must have every message. They are made before the first publish.
var channels = []string{"a", "b"}

// story is one seed: a broker on a memory disk, through several lives.
type story struct {
	t      *testing.T
	seed   uint64
	totals *totals
	rng    *rand.Rand
	rec    *history.Recorder

	disk   *vfs.Mem
	store  *commitlog.Store
	logs   *watchedLogs
	broker *broker.Broker
	subs   map[string]*consumer
	next   uint64
	ready  bool // channels exist
}

func (s *story) run() {
	s.rng = rand.New(rand.NewPCG(s.seed, 1))
	s.rec = history.NewRecorder(uint32(s.seed))
	s.disk = vfs.NewMem(s.seed)
	for range 2 + s.rng.IntN(3) {
		s.life()
	}
	s.lastLife()
	h := s.rec.History()
	report := history.Check(h, history.Rules{Channels: channels, Drained: true, FinishWindow: finishWindow})
	s.totals.Judged.Add(faultreport.Judged("power loss of a node", s.totals.Cuts-s.totals.Judged.Injected, report))
	if err := report.Err(); err != nil {
		s.t.Errorf("seed %d: %v", s.seed, err)
	}
}

// life opens the broker, works until the power goes or it stops cleanly, and closes what is left.
func (s *story) life() {
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
	for _, name := range channels {
		s.drain(name)
	}
	s.stop()
	if !s.open() {
		s.t.Fatalf("seed %d: cannot open after the clean stop", s.seed)
	}
	for _, name := range channels {
		s.drain(name)
	}
	s.stop()
}

// open starts a life. It reports false if the power went meanwhile; any other failure ends the test.
func (s *story) open() bool {
	s.subs = map[string]*consumer{}
	store, err := commitlog.OpenStore(commitlog.Options{
		FS: s.disk, Dir: dataDir, Logger: slog.New(slog.DiscardHandler), MinSegmentBytes: 4 << 10, MaxSegmentBytes: 8 << 10, CacheBytes: 16 << 10,
	})
	if err != nil {
		return s.openFailed("store", err)
	}
	s.store = store
	s.logs = &watchedLogs{Logs: replica.NewLogs(store, replica.Options{FS: s.disk, Dir: dataDir, ReserveBytes: 1}), totals: s.totals}
	s.broker, err = broker.Open(s.logs, broker.Options{Retain: -1, KeepInterval: 30 * time.Millisecond, CheckpointBytes: 4 << 10})
	if err == nil {
		err = s.broker.Healthy() // a damaged topic stands still, and the node starts all the same
	}
	if err == nil && !s.ready {
		err = s.makeChannels()
	}
	if err != nil {
		return s.openFailed("broker", err)
	}
	return true
}

func (s *story) openFailed(what string, err error) bool {
	if !s.disk.Stopped() {
		s.t.Fatalf("seed %d: open %s: %v", s.seed, what, err)
	}
	return false
}

func (s *story) makeChannels() error {
	topic, err := s.broker.CreateTopic(s.t.Context(), topicName)
	for _, name := range channels {
		if err == nil {
			_, err = topic.CreateChannel(s.t.Context(), name)
		}
	}
	s.ready = err == nil
	return err
}

// cut records the loss of power, ends the life and brings the disk up again.
func (s *story) cut() {
	s.totals.Cuts++
	s.rec.Killed()
	s.close()
	s.disk = s.disk.Crash(s.rng.Uint64())
}

// stop ends the life cleanly.
func (s *story) stop() {
	s.rec.Stopped()
	for _, c := range s.subs {
		c.sub.Close()
	}
	s.subs = nil
	if err := s.close(); err != nil {
		s.t.Fatalf("seed %d: clean stop: %v", s.seed, err)
	}
}

func (s *story) close() error {
	var errs []error
	if s.broker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		errs = append(errs, s.broker.Close(ctx))
		cancel()
	}
	if s.logs != nil {
		s.logs.Close()
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	s.broker, s.logs, s.store = nil, nil, nil
	synctest.Wait()
	return errors.Join(errs...)
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
		s.leave(channels[s.rng.IntN(len(channels))])
	default:
		s.administer()
	}
}

// publish sends a batch, usually waiting for its answer.
func (s *story) publish(deferred time.Duration) {
	topic, ok := s.broker.Topic(topicName)
	if !ok {
		s.t.Fatalf("seed %d: the topic is gone", s.seed)
	}
	var b record.Builder
	p := &publication{story: s}
	for range 1 + s.rng.IntN(12) {
		s.next++
		k := history.Key{Publisher: 1, Seq: uint32(s.next)}
		due := int64(0)
		s.rec.Sent(k, deferred)
		if deferred > 0 {
			s.totals.Deferred++
			due = time.Now().Add(deferred + time.Millisecond - 1).UnixMilli()
		}
		b.Append(s.rec.Body(k, 40+s.rng.IntN(300)), due)
		p.keys = append(p.keys, k)
	}
	flags := b.Flags()
	topic.Publish(&broker.Proposal{Flags: flags, Payload: b.Finish(time.Now().UnixMilli()), Owner: p})
}

// publication records the answer to a batch.
type publication struct {
	story *story
	keys  []history.Key
}

// Proposed implements broker.Owner.
func (p *publication) Proposed(proposal *broker.Proposal) {
	s := p.story
	for _, k := range p.keys {
		switch {
		case proposal.Err == nil:
			s.totals.Answered++
			s.rec.Answered(k)
		case errors.Is(proposal.Err, broker.ErrUnknown):
			s.totals.Unknown++
			s.rec.Unknown(k)
		default:
			s.totals.Refused++
			s.rec.Refused(k)
		}
	}
}

// administer changes channels that need not have every message, and pauses those that must.
func (s *story) administer() {
	ctx := s.t.Context()
	topic, _ := s.broker.Topic(topicName)
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
		if _, err = s.broker.CreateTopic(ctx, "other"); err == nil && s.rng.IntN(2) == 0 {
			err = s.broker.DeleteTopic(ctx, "other")
		}
	}
	if err != nil && !s.disk.Stopped() && !errors.Is(err, broker.ErrChannelNotFound) {
		s.t.Fatalf("seed %d: administer: %v", s.seed, err)
	}
}

func (s *story) unpause() {
	topic, _ := s.broker.Topic(topicName)
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

// watchedLogs counts what retention does.
type watchedLogs struct {
	*replica.Logs
	totals *totals
}

// Open implements broker.Logs.
func (l *watchedLogs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := l.Logs.Open(id, m)
	if err != nil {
		return nil, err
	}
	return &watchedLog{log, l.totals}, nil
}

type watchedLog struct {
	broker.Log
	totals *totals
}

// Propose implements broker.Log.
func (l *watchedLog) Propose(p *broker.Proposal) {
	if p.Kind == record.KindCarry {
		l.totals.Carried++
	}
	l.Log.Propose(p)
}

// Trim implements broker.Log.
func (l *watchedLog) Trim(below record.Offset) error {
	before := len(l.Segments())
	err := l.Log.Trim(below)
	l.totals.Trimmed += before - len(l.Segments())
	return err
}
