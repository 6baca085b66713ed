package logtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// CrashConfig says how to get an implementation over a disk that may crash.
type CrashConfig struct {
	// Open returns the logs of a node on that disk, and what ends the node when its logs are closed. The node answers
	// when a proposal is durable. On a disk that crashes meanwhile it returns an error and leaves nothing running.
	Open func(disk vfs.FS) (broker.Logs, func() error, error)
	// Lives is how often the power is cut. Default 150.
	Lives int
}

// RunCrash cuts the power of a memory disk again and again, at random operations. What was answered as committed must be
// there in the next life, at its offset, and so must the checkpoint that SaveCheckpoint stored.
func RunCrash(t *testing.T, c CrashConfig) {
	if c.Lives == 0 {
		c.Lives = 150
	}
	const livesOfADisk = 10
	started := 0
	for seed := range uint64(c.Lives / livesOfADisk) {
		s := &crashStory{t: t, config: c, rng: rand.New(rand.NewPCG(seed, 2)), disk: vfs.NewMem(seed)}
		s.committed = map[record.Offset]string{}
		for s.life = range livesOfADisk {
			if s.run() {
				started++
			}
			s.disk = s.disk.Crash(s.rng.Uint64())
			if t.Failed() {
				t.Fatalf("seed %d, life %d", seed, s.life)
			}
		}
	}
	if started < c.Lives/2 {
		t.Errorf("only %d of %d lives got as far as a log that leads", started, c.Lives)
	}
}

// crashStory is what is known of one disk's log.
type crashStory struct {
	t      *testing.T
	config CrashConfig
	rng    *rand.Rand
	disk   *vfs.Mem
	life   int

	created   bool // Create has returned
	committed map[record.Offset]string
	stored    record.Index // of the newest checkpoint that is certain
	sent      int
}

// run is one life: it checks what the last ones left, then works until the power is cut. It reports whether the log led.
func (s *crashStory) run() bool {
	cut := 1 + s.rng.IntN(60)
	if s.rng.IntN(3) == 0 {
		cut = 1 + s.rng.IntN(8) // during recovery
	}
	if s.life == 0 {
		cut += 20 // a new store has some work
	}
	safe := s.life%2 == 1
	if !safe {
		s.disk.CrashAfter(cut)
	}
	node, end, err := s.config.Open(s.disk)
	if err != nil {
		s.expectCrash("open the node", err)
		return false
	}
	defer func() { s.expectCrash("close the node", end()) }()
	r := NewRecorder()
	log, at := s.start(node, r)
	if log == nil {
		return false
	}
	defer func() { s.expectCrash("close the log", log.Close()) }()
	if safe {
		s.disk.CrashAfter(cut)
	}
	s.check(log, r, at)
	for !s.disk.Stopped() && !s.t.Failed() {
		s.work(log, r)
	}
	r.Check(s.t)
	return true
}

// expectCrash fails the test for an error that no crash explains.
func (s *crashStory) expectCrash(what string, err error) {
	s.t.Helper()
	if err != nil && !s.disk.Stopped() {
		s.t.Errorf("%s: %v", what, err)
	}
}

// start opens the log from its checkpoint and waits until it leads or has failed; nil means that the disk crashed before.
func (s *crashStory) start(node broker.Logs, r *Recorder) (broker.Log, record.Index) {
	ids, err := node.List()
	if err != nil {
		s.expectCrash("list logs", err)
		return nil, 0
	}
	if !slices.Contains(ids, logID) {
		if s.created {
			s.t.Errorf("the log is gone")
			return nil, 0
		}
		if err := node.Create(logID); err != nil {
			s.expectCrash("create the log", err)
			return nil, 0
		}
	}
	s.created = true
	log, err := node.Open(logID, r)
	if err != nil {
		s.expectCrash("open the log", err)
		return nil, 0
	}
	state, at, err := log.Checkpoint()
	if err == nil {
		if at < s.stored || at > 0 && string(state) != fmt.Sprint("state at ", at) {
			s.t.Errorf("the checkpoint is %q at %d; one at %d was stored", state, at, s.stored)
		}
		err = log.Start(at)
	}
	if err != nil {
		s.expectCrash("start the log", err)
		s.expectCrash("close the log", log.Close())
		return nil, 0
	}
	r.Wait(s.t, "the log to lead or to fail", func() bool { return r.Leading() || r.Failure() != nil || s.disk.Stopped() })
	return log, at
}

// check compares the log with what was answered in earlier lives.
func (s *crashStory) check(log broker.Log, r *Recorder, at record.Index) {
	if entries := r.Entries(); len(entries) > 0 && entries[0].Index != at+1 {
		s.t.Errorf("replay above %d begins at %d", at, entries[0].Index)
	}
	rd := log.NewReader()
	defer rd.Release()
	start, end := log.Bounds()
	for off, body := range s.committed {
		if off < start {
			continue // trimmed
		}
		if off >= end {
			s.t.Errorf("offset %d was committed, the log ends at %d", off, end)
			continue
		}
		b, _, err := rd.Batch(off)
		if err != nil {
			s.expectCrash(fmt.Sprint("read offset ", off), err)
			return
		}
		bodies, err := Bodies(b)
		if err != nil || string(bodies[off]) != body {
			s.t.Errorf("offset %d holds %q, %v; committed was %q", off, bodies[off], err, body)
		}
	}
}

// work does one random thing.
func (s *crashStory) work(log broker.Log, r *Recorder) {
	switch s.rng.IntN(12) {
	case 0:
		at := r.Last()
		if at == 0 {
			return
		}
		if err := log.SaveCheckpoint(fmt.Append(nil, "state at ", at), at); err != nil {
			s.expectCrash("save a checkpoint", err)
			return
		}
		s.stored = max(s.stored, at)
	case 1:
		s.expectCrash("roll", log.Roll())
	case 2:
		start, end := log.Bounds()
		s.expectCrash("trim", log.Trim(start+(end-start)/2))
	default:
		s.publish(log, r)
	}
}

// publish proposes some batches at once and notes which are committed.
func (s *crashStory) publish(log broker.Log, r *Recorder) {
	var waiters []*Waiter
	var bodies []string
	for range 1 + s.rng.IntN(5) {
		body := fmt.Sprintf("message %d %0*d", s.sent, s.rng.IntN(1500), 0)
		s.sent++
		bodies = append(bodies, body)
		waiters = append(waiters, Propose(log, r, record.KindBatch, Batch([]byte(body))))
	}
	for i, w := range waiters {
		p := w.Outcome(s.t)
		if p.Err != nil {
			s.expectCrash("publish", p.Err)
			continue
		}
		if old, taken := s.committed[p.Base]; taken {
			s.t.Errorf("%q and %q were both committed at offset %d", old, bodies[i], p.Base)
		}
		s.committed[p.Base] = bodies[i]
	}
}
