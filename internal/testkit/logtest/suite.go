package logtest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// Config says how to get the implementation under test.
type Config struct {
	// New returns the logs of a node with an empty disk. It closes them in t.Cleanup.
	New func(t *testing.T) broker.Logs
	// Reopen ends a node whose logs are closed, and opens it again on the same disk. If nil, a restart is simulated by
	// closing and opening the log alone.
	Reopen func(t *testing.T, node broker.Logs) broker.Logs
}

// Run tests an implementation, one subtest for each sentence of the contract.
func Run(t *testing.T, c Config) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *subject)
	}{
		{"CreatedLogsAreListedUntilDeleted", testCatalog},
		{"AppliesAndAnswersInOrder", testOrder},
		{"ControlEntriesTakeNoOffsets", testControl},
		{"BatchesAreStamped", testStamps},
		{"ConcurrentProposersShareOneOrder", testConcurrent},
		{"OwnersMayProposeFromTheirAnswer", testProposeFromAnswer},
		{"ReadsReturnWhatWasApplied", testReads},
		{"ReadsOutsideTheBoundsFail", testReadBounds},
		{"ReadersKeepUpWithProposers", testReadWhileProposing},
		{"CheckpointsAreKept", testCheckpoints},
		{"StartReplaysExactlyTheRest", testStart},
		{"RollSealsWhatHoldsAnything", testRoll},
		{"TrimWaitsForACheckpoint", testTrimNeedsCheckpoint},
		{"TrimDeletesFinishedSegments", testTrim},
		{"CarriedMessagesOutliveTheirSegments", testCarry},
		{"CloseAnswersEverything", testCloseAnswers},
		{"ClosedLogsTakeNothing", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &subject{t: t, config: c, node: c.New(t)}
			if err := s.node.Create(logID); err != nil {
				t.Fatal(err)
			}
			s.open(0)
			test.run(t, s)
			s.machine.Check(t)
			if !s.closed {
				s.close()
			}
		})
	}
}

var logID = broker.LogID{Topic: 0x1234, Partition: 3}

// A subject is a log under test with the machine it feeds.
type subject struct {
	t       *testing.T
	config  Config
	node    broker.Logs
	log     broker.Log
	machine *Recorder
	closed  bool
}

// open opens and starts the log, and waits until it leads.
func (s *subject) open(above record.Index) {
	s.t.Helper()
	s.machine = NewRecorder()
	l, err := s.node.Open(logID, s.machine)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := l.Start(above); err != nil {
		s.t.Fatal(err)
	}
	s.log, s.closed = l, false
	s.machine.Wait(s.t, "the log to lead", s.machine.Leading)
}

func (s *subject) close() {
	s.t.Helper()
	if err := s.log.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.closed = true
}

// restart closes the log and the node, and opens them again with the entries above index to be replayed.
func (s *subject) restart(above record.Index) {
	s.t.Helper()
	if !s.closed {
		s.close()
	}
	s.machine.Check(s.t)
	if s.config.Reopen != nil {
		s.node = s.config.Reopen(s.t, s.node)
	}
	s.open(above)
}

// publish proposes one batch and waits until it is committed.
func (s *subject) publish(bodies ...[]byte) *broker.Proposal {
	s.t.Helper()
	p := Propose(s.log, s.machine, record.KindBatch, Batch(bodies...)).Outcome(s.t)
	if p.Err != nil {
		s.t.Fatalf("propose a batch of %d: %v", len(bodies), p.Err)
	}
	return p
}

// publishMany publishes n batches of one to three messages one after another and returns all bodies, by offset.
func (s *subject) publishMany(n int) [][]byte {
	s.t.Helper()
	_, first := s.log.Bounds()
	var all [][]byte
	for i := range n {
		var bodies [][]byte
		for j := range i%3 + 1 {
			bodies = append(bodies, fmt.Appendf(nil, "batch %d body %d", i, j))
		}
		if p := s.publish(bodies...); p.Base != first+record.Offset(len(all)) {
			s.t.Fatalf("batch %d is at offset %d, not %d", i, p.Base, int(first)+len(all))
		}
		all = append(all, bodies...)
	}
	return all
}

// expectBodies fails the test unless the messages from offset first on have these bodies.
func (s *subject) expectBodies(first record.Offset, want [][]byte) {
	s.t.Helper()
	rd := s.log.NewReader()
	defer rd.Release()
	for i, body := range want {
		off := first + record.Offset(i)
		b, _, err := rd.Batch(off)
		if err != nil {
			s.t.Fatalf("read offset %d: %v", off, err)
		}
		bodies, err := Bodies(b)
		if err != nil {
			s.t.Fatalf("read offset %d: %v", off, err)
		}
		if !bytes.Equal(bodies[off], body) {
			s.t.Fatalf("offset %d holds %q, not %q", off, bodies[off], body)
		}
	}
}

func testCatalog(t *testing.T, s *subject) {
	other := broker.LogID{Topic: 0, Partition: 0}
	expect := func(want ...broker.LogID) {
		t.Helper()
		ids, err := s.node.List()
		if err != nil {
			t.Fatal(err)
		}
		found := map[broker.LogID]bool{}
		for _, id := range ids {
			found[id] = true
		}
		for _, id := range want {
			if !found[id] || len(ids) != len(want) {
				t.Fatalf("the logs are %v, not %v", ids, want)
			}
		}
	}
	expect(logID)
	if _, err := s.node.Open(other, NewRecorder()); err == nil {
		t.Error("opened a log that does not exist")
	}
	if err := s.node.Create(other); err != nil {
		t.Fatal(err)
	}
	expect(logID, other)
	if err := s.node.Create(other); err == nil {
		t.Error("created a log twice")
	}
	s.publish([]byte("in the log that stays"))
	if err := s.node.Delete(other); err != nil {
		t.Fatal(err)
	}
	expect(logID)
	s.restart(0)
	expect(logID)
	s.expectBodies(0, [][]byte{[]byte("in the log that stays")})
	if err := s.node.Create(other); err != nil {
		t.Errorf("create a deleted log again: %v", err)
	}
}
