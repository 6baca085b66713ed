package logtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// sequence is an owner that notes the order of answers.
type sequence struct {
	mu      sync.Mutex
	answers []*broker.Proposal
	wg      sync.WaitGroup
}

// Proposed implements broker.Owner.
func (s *sequence) Proposed(p *broker.Proposal) {
	s.mu.Lock()
	s.answers = append(s.answers, p)
	s.mu.Unlock()
	s.wg.Done()
}

// propose proposes a batch for the sequence.
func (s *sequence) propose(l broker.Log, bodies ...[]byte) {
	s.wg.Add(1)
	l.Propose(&broker.Proposal{Kind: record.KindBatch, Payload: Batch(bodies...), Owner: s})
}

func testOrder(t *testing.T, s *subject) {
	const n = 500
	var seq sequence
	for i := range n {
		seq.propose(s.log, fmt.Append(nil, "body ", i))
	}
	seq.wg.Wait()
	for i, p := range seq.answers {
		if p.Err != nil || p.Base != record.Offset(i) {
			t.Fatalf("answer %d: offset %d, %v", i, p.Base, p.Err)
		}
	}
	next := record.Offset(0)
	for _, e := range s.machine.Entries() {
		if e.Kind != record.KindBatch {
			continue
		}
		bodies, err := Bodies(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for range bodies {
			if want := fmt.Sprint("body ", next); string(bodies[next]) != want {
				t.Fatalf("applied %q at offset %d, not %q", bodies[next], next, want)
			}
			next++
		}
	}
	if start, end := s.log.Bounds(); next != n || start != 0 || end != n {
		t.Fatalf("%d messages were applied, bounds are [%d, %d)", next, start, end)
	}
}

func testControl(t *testing.T, s *subject) {
	for i := range 3 {
		s.publish([]byte("a"), []byte("b"))
		change := fmt.Append(nil, "change ", i)
		if p := Propose(s.log, s.machine, record.KindControl, change).Outcome(t); p.Err != nil {
			t.Fatal(p.Err)
		}
		entries := s.machine.Entries()
		e := entries[len(entries)-1]
		if e.Kind != record.KindControl || string(e.Payload) != string(change) || e.Base != record.Offset(2*i+2) {
			t.Fatalf("applied kind %d, %q, base %d", e.Kind, e.Payload, e.Base)
		}
	}
	if _, end := s.log.Bounds(); end != 6 {
		t.Fatalf("the log ends at %d", end)
	}
	s.log.Propose(&broker.Proposal{Kind: record.KindControl, Payload: []byte("nobody's")})
	s.machine.Wait(t, "a proposal without owner", func() bool {
		entries := s.machine.Entries()
		return string(entries[len(entries)-1].Payload) == "nobody's"
	})
}

func testStamps(t *testing.T, s *subject) {
	s.publishMany(20)
	w := &Waiter{doneC: make(chan *broker.Proposal, 1)}
	s.log.Propose(&broker.Proposal{Kind: record.KindBatch, Flags: record.FlagDue, Payload: Batch([]byte("due")), Owner: w})
	if p := w.Outcome(t); p.Err != nil {
		t.Fatal(p.Err)
	}
	entries := s.machine.Entries()
	for i, e := range entries {
		if e.Kind != record.KindBatch {
			continue
		}
		if got := record.Offset(binary.BigEndian.Uint64(e.Payload)); got != e.Base {
			t.Errorf("the batch of entry %d has base offset %d, the entry %d", e.Index, got, e.Base)
		}
		if got := record.Term(binary.BigEndian.Uint32(e.Payload[12:])); got != e.Term {
			t.Errorf("the batch of entry %d has leader epoch %d, the entry term %d", e.Index, got, e.Term)
		}
		if got, want := e.Flags == record.FlagDue, i == len(entries)-1; got != want {
			t.Errorf("entry %d has flags %b", e.Index, e.Flags)
		}
		if e.Time == 0 {
			t.Errorf("entry %d has no time", e.Index)
		}
	}
}

func testConcurrent(t *testing.T, s *subject) {
	const proposers, each = 16, 60
	var wg sync.WaitGroup
	sequences := make([]sequence, proposers)
	for i := range sequences {
		wg.Go(func() {
			for j := range each {
				body := fmt.Appendf(nil, "%d/%d", i, j)
				sequences[i].propose(s.log, body, bytes.Repeat([]byte{'x'}, 10+j))
				if j%7 == 0 {
					sequences[i].wg.Wait()
				}
			}
		})
	}
	wg.Wait()
	taken := map[record.Offset]bool{}
	for i := range sequences {
		sequences[i].wg.Wait()
		last := record.Offset(-1)
		for j, p := range sequences[i].answers {
			if p.Err != nil || p.Base <= last || taken[p.Base] {
				t.Fatalf("proposal %d/%d is at %d after %d: %v", i, j, p.Base, last, p.Err)
			}
			last, taken[p.Base] = p.Base, true
			s.expectBodies(p.Base, [][]byte{fmt.Appendf(nil, "%d/%d", i, j), bytes.Repeat([]byte{'x'}, 10+j)})
		}
	}
	if _, end := s.log.Bounds(); end != 2*proposers*each {
		t.Fatalf("the log ends at %d", end)
	}
}

// chain is an owner that proposes again from its answer until it has had enough.
type chain struct {
	log   broker.Log
	left  int
	errs  []error
	doneC chan struct{}
}

// Proposed implements broker.Owner.
func (c *chain) Proposed(p *broker.Proposal) {
	if p.Err != nil {
		c.errs = append(c.errs, p.Err)
	}
	if c.left--; c.left == 0 {
		close(c.doneC)
		return
	}
	c.log.Propose(&broker.Proposal{Kind: record.KindBatch, Payload: Batch([]byte("link")), Owner: c})
}

func testProposeFromAnswer(t *testing.T, s *subject) {
	c := &chain{log: s.log, left: 50, doneC: make(chan struct{})}
	s.log.Propose(&broker.Proposal{Kind: record.KindBatch, Payload: Batch([]byte("first")), Owner: c})
	s.machine.Wait(t, "a chain of proposals", func() bool {
		_, end := s.log.Bounds()
		return end == 50
	})
	<-c.doneC
	if len(c.errs) > 0 {
		t.Fatal(c.errs)
	}
}
