package hostile_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/hostile"
	"github.com/weirmq/weir/internal/testkit/logtest"
)

var id = broker.LogID{Topic: 7, Partition: 1}

// open opens the log of a node, making it if need be, and starts it.
func open(t testing.TB, n *hostile.Logs, above record.Index) (*hostile.Log, *logtest.Recorder) {
	t.Helper()
	if ids, _ := n.List(); len(ids) == 0 {
		if err := n.Create(id); err != nil {
			t.Fatal(err)
		}
	}
	r := logtest.NewRecorder()
	l, err := n.Open(id, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(above); err != nil {
		t.Fatal(err)
	}
	return l.(*hostile.Log), r
}

func TestBenignLogLeadsAtOnceAndCommitsInOrder(t *testing.T) {
	l, r := open(t, hostile.New(hostile.Benign()), 0)
	if !r.Leading() {
		t.Fatal("does not lead after Start")
	}
	var waiters []*logtest.Waiter
	for i := range 100 {
		waiters = append(waiters, logtest.Propose(l, r, record.KindBatch, logtest.Batch(fmt.Append(nil, i))))
	}
	for i, w := range waiters {
		if p := w.Outcome(t); p.Err != nil || p.Base != record.Offset(i) {
			t.Fatalf("proposal %d: base %d, %v", i, p.Base, p.Err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r.Check(t)
}

func TestHostileLogRunsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, r := open(t, hostile.New(hostile.Hostile(1)), 0)
		outcomes := map[error]int{}
		for i := range 500 {
			w := logtest.Propose(l, r, record.KindBatch, logtest.Batch(fmt.Append(nil, i)))
			if i%3 == 0 {
				synctest.Wait()
			}
			outcomes[sentinel(w.Outcome(t).Err)]++
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		r.Check(t)
		for _, err := range []error{nil, broker.ErrNotLeader, broker.ErrFull} {
			if outcomes[err] == 0 {
				t.Errorf("no proposal ended with %v: %v", err, outcomes)
			}
		}
	})
}

// sentinel returns the error of package broker that err wraps.
func sentinel(err error) error {
	for _, s := range []error{broker.ErrNotLeader, broker.ErrFull, broker.ErrUnknown, broker.ErrFailed, broker.ErrClosed} {
		if errors.Is(err, s) {
			return s
		}
	}
	return err
}

func TestDeposedLogRefusesUntilElected(t *testing.T) {
	o := hostile.Benign()
	o.Manual = true
	l, r := open(t, hostile.New(o), 0)
	l.Depose()
	if r.Leading() {
		t.Fatal("the machine still leads")
	}
	if p := logtest.Propose(l, r, record.KindControl, []byte("x")).Outcome(t); !errors.Is(p.Err, broker.ErrNotLeader) {
		t.Fatalf("outcome is %v", p.Err)
	}
	l.Settle()
	if r.Leading() {
		t.Fatal("elected although held back")
	}
	l.Elect()
	if !r.Leading() {
		t.Fatal("does not lead after Elect")
	}
	w := logtest.Propose(l, r, record.KindControl, []byte("y"))
	if w.Answered() {
		t.Fatal("a manual log committed without a step")
	}
	l.Settle()
	if p := w.Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	r.Check(t)
}

func TestUnknownOutcomesCommitLaterOrNever(t *testing.T) {
	later, never := 0, 0
	for seed := range uint64(40) {
		o := hostile.Benign()
		o.Seed, o.Manual = seed, true
		l, r := open(t, hostile.New(o), 0)
		var waiters []*logtest.Waiter
		for i := range 4 {
			waiters = append(waiters, logtest.Propose(l, r, record.KindControl, fmt.Append(nil, i)))
		}
		l.Depose()
		l.Elect()
		found := map[string]bool{}
		for _, e := range r.Entries() {
			found[string(e.Payload)] = true
		}
		for i, w := range waiters {
			err, in := w.Outcome(t).Err, found[fmt.Sprint(i)]
			switch {
			case err == nil && !in, errors.Is(err, broker.ErrNotLeader) && in:
				t.Fatalf("seed %d, proposal %d: outcome %v, in the log: %v", seed, i, err, in)
			case errors.Is(err, broker.ErrUnknown) && in:
				later++
			case errors.Is(err, broker.ErrUnknown):
				never++
			}
		}
		r.Check(t)
	}
	if later == 0 || never == 0 {
		t.Errorf("of the unknown, %d were committed later and %d never: both must happen", later, never)
	}
}

func TestReaderPoisonsWhatItReturnedBefore(t *testing.T) {
	l, r := open(t, hostile.New(hostile.Benign()), 0)
	for range 2 {
		logtest.Propose(l, r, record.KindBatch, logtest.Batch([]byte("body"))).Outcome(t)
	}
	rd := l.NewReader()
	first, _, err := rd.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(first)
	if second, _, err := rd.Batch(1); err != nil || bytes.Equal(second, kept) {
		t.Fatalf("batch 1: %x, %v", second, err)
	}
	if bytes.Equal(first, kept) {
		t.Error("the first batch is still intact after the second call")
	}
}

func TestChangedPayloadPanics(t *testing.T) {
	o := hostile.Benign()
	o.Manual = true
	l, r := open(t, hostile.New(o), 0)
	b := logtest.Batch([]byte("body"))
	logtest.Propose(l, r, record.KindBatch, b)
	b[len(b)-2] ^= 1
	defer func() {
		if recover() == nil {
			t.Error("the change went unnoticed")
		}
	}()
	l.Step()
}

func TestFullDiskRefusesUntilThereIsSpace(t *testing.T) {
	n := hostile.New(hostile.Benign())
	l, r := open(t, n, 0)
	l.SetFull(true)
	if err := n.Healthy(); !errors.Is(err, broker.ErrFull) {
		t.Fatalf("the node's health is %v", err)
	}
	if p := logtest.Propose(l, r, record.KindControl, []byte("x")).Outcome(t); !errors.Is(p.Err, broker.ErrFull) {
		t.Fatalf("outcome is %v", p.Err)
	}
	l.SetFull(false)
	if err := n.Healthy(); err != nil {
		t.Fatalf("the node's health is %v", err)
	}
	if p := logtest.Propose(l, r, record.KindControl, []byte("x")).Outcome(t); p.Err != nil {
		t.Fatalf("outcome is %v", p.Err)
	}
}

func TestFailureEndsTheLog(t *testing.T) {
	o := hostile.Benign()
	o.Manual = true
	l, r := open(t, hostile.New(o), 0)
	w := logtest.Propose(l, r, record.KindControl, []byte("x"))
	cause := errors.New("sync failed")
	l.Fail(cause)
	if p := w.Outcome(t); !errors.Is(p.Err, broker.ErrUnknown) {
		t.Errorf("what was under way ended with %v", p.Err)
	}
	if !errors.Is(r.Failure(), cause) {
		t.Errorf("the machine heard %v", r.Failure())
	}
	if p := logtest.Propose(l, r, record.KindControl, []byte("y")).Outcome(t); !errors.Is(p.Err, broker.ErrFailed) {
		t.Errorf("a later proposal ended with %v", p.Err)
	}
}

func TestFollowerStartsFromShippedCheckpoint(t *testing.T) {
	first := hostile.New(hostile.Benign())
	l, r := open(t, first, 0)
	for i := range 50 {
		logtest.Propose(l, r, record.KindBatch, logtest.Batch(fmt.Append(nil, i))).Outcome(t)
	}
	at := r.Last()
	if err := l.SaveCheckpoint([]byte("state"), at); err != nil {
		t.Fatal(err)
	}
	o := hostile.Benign()
	o.Manual = true
	second := first.Join(o)
	if err := second.Create(id); err != nil {
		t.Fatal(err)
	}
	if err := first.Ship(id, second); err != nil {
		t.Fatal(err)
	}
	fr := logtest.NewRecorder()
	opened, err := second.Open(id, fr)
	if err != nil {
		t.Fatal(err)
	}
	state, from, err := opened.Checkpoint()
	if err != nil || string(state) != "state" || from != at {
		t.Fatalf("checkpoint %q at %d, %v", state, from, err)
	}
	if err := opened.Start(from); err != nil {
		t.Fatal(err)
	}
	logtest.Propose(l, r, record.KindBatch, logtest.Batch([]byte("more"))).Outcome(t)
	f := opened.(*hostile.Log)
	f.Settle()
	if got := fr.Entries(); len(got) != 1 || got[0].Index != at+1 || fr.Leading() {
		t.Fatalf("the follower heard of %d entries and leads: %v", len(got), fr.Leading())
	}
	f.Elect()
	r.Wait(t, "the first node to hear that it does not lead", func() bool { return !r.Leading() })
	if !fr.Leading() {
		t.Error("the second node does not lead after Elect")
	}
	r.Check(t)
	fr.Check(t)
}

// story drives two nodes through random events and compares what is in the log at the end with what owners were told.
type story struct {
	t     *testing.T
	rng   *rand.Rand
	nodes [2]*hostile.Logs
	logs  [2]*hostile.Log
	heard [2]*logtest.Recorder
	sent  []*sent
}

type sent struct {
	waiter *logtest.Waiter
	body   string
	node   int
	lost   bool // its node crashed
}

func (s *story) propose() {
	n := s.rng.IntN(2)
	body := fmt.Sprintf("message %d", len(s.sent))
	w := logtest.Propose(s.logs[n], s.heard[n], record.KindBatch, logtest.Batch([]byte(body)))
	s.sent = append(s.sent, &sent{waiter: w, body: body, node: n})
}

// restart ends a node's log, cleanly or not, and opens it from its newest checkpoint.
func (s *story) restart(n int, crash bool) {
	s.heard[n].Check(s.t)
	if crash {
		s.nodes[n].Crash()
		for _, p := range s.sent {
			p.lost = p.lost || p.node == n && !p.waiter.Answered()
		}
	} else if err := s.logs[n].Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open(n)
}

func (s *story) open(n int) {
	s.heard[n] = logtest.NewRecorder()
	l, err := s.nodes[n].Open(id, s.heard[n])
	if err != nil {
		s.t.Fatal(err)
	}
	_, at, err := l.Checkpoint()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := l.Start(at); err != nil {
		s.t.Fatal(err)
	}
	s.logs[n] = l.(*hostile.Log)
	if e := s.heard[n].Entries(); len(e) > 0 && e[0].Index != at+1 {
		s.t.Fatalf("replay above %d begins at %d", at, e[0].Index)
	}
}

func (s *story) event() {
	n := s.rng.IntN(2)
	switch s.rng.IntN(40) {
	case 0:
		s.restart(n, true)
	case 1:
		s.restart(n, false)
	case 2:
		s.logs[n].Depose()
	case 3:
		s.logs[n].Elect()
	case 4:
		if err := s.logs[n].SaveCheckpoint([]byte("state"), s.logs[n].Applied()); err != nil {
			s.t.Fatal(err)
		}
	case 5:
		_, end := s.logs[n].Bounds()
		if err := s.logs[n].Trim(record.Offset(s.rng.Int64N(int64(end) + 1))); err != nil {
			s.t.Fatal(err)
		}
	default:
		if s.rng.IntN(2) == 0 {
			s.propose()
		} else {
			s.logs[n].Step()
		}
	}
}

func TestNothingCommittedIsLostAndNothingRefusedAppears(t *testing.T) {
	outcomes := map[error]int{}
	for seed := range uint64(150) {
		o := hostile.Hostile(seed)
		o.Manual = true
		s := &story{t: t, rng: rand.New(rand.NewPCG(seed, 1))}
		s.nodes[0] = hostile.New(o)
		s.nodes[1] = s.nodes[0].Join(o)
		third := s.nodes[0].Join(hostile.Benign()) // keeps the whole log, to be read at the end
		for _, n := range []*hostile.Logs{s.nodes[0], s.nodes[1], third} {
			if err := n.Create(id); err != nil {
				t.Fatal(err)
			}
		}
		s.open(0)
		s.open(1)
		for range 300 {
			s.event()
		}
		s.restart(0, false)
		s.restart(1, false)
		s.check(third, outcomes)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, err := range []error{nil, broker.ErrNotLeader, broker.ErrUnknown, broker.ErrFull, broker.ErrClosed} {
		if outcomes[err] == 0 {
			t.Errorf("no proposal ended with %v: %v", err, outcomes)
		}
	}
}

// check compares the log as a fresh node reads it with the outcomes.
func (s *story) check(n *hostile.Logs, outcomes map[error]int) {
	t := s.t
	l, r := open(t, n, 0)
	offsets := map[string]record.Offset{}
	rd := l.NewReader()
	for _, e := range r.Entries() {
		if e.Kind != record.KindBatch {
			continue
		}
		b, at, err := rd.Batch(e.Base)
		if err != nil || at != e.Time || !bytes.Equal(b, e.Payload) {
			t.Fatalf("reading offset %d: %v", e.Base, err)
		}
		bodies, err := logtest.Bodies(b)
		if err != nil {
			t.Fatal(err)
		}
		for off, body := range bodies {
			if _, twice := offsets[string(body)]; twice {
				t.Errorf("%q is in the log twice", body)
			}
			offsets[string(body)] = off
		}
	}
	for _, p := range s.sent {
		if p.lost {
			if p.waiter.Answered() {
				t.Errorf("%q was answered after the crash of its node", p.body)
			}
			continue
		}
		out := p.waiter.Outcome(t)
		off, in := offsets[p.body]
		outcomes[sentinel(out.Err)]++
		switch sentinel(out.Err) {
		case nil:
			if !in || off != out.Base {
				t.Errorf("%q was committed at %d; in the log: %v, at %d", p.body, out.Base, in, off)
			}
		case broker.ErrUnknown:
		default:
			if in {
				t.Errorf("%q was refused with %v and is in the log", p.body, out.Err)
			}
		}
	}
	r.Check(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
