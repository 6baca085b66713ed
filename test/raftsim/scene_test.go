package raftsim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/simnet"
	"github.com/weirmq/weir/internal/vfs"
)

// A scene is a story of three nodes and one log that is written out: what a seed finds too seldom. Node 1 is the preferred leader.
func scene(t *testing.T, play func(s *story)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, 1, &totals{})
		s.nodes, s.logs = s.nodes[:3], []broker.LogID{{Topic: 7, Partition: 0}}
		for _, n := range s.nodes {
			n.start()
		}
		s.wait(20 * tick)
		play(s)
		s.settle()
		for _, n := range s.nodes {
			n.stop()
		}
		s.judge.check()
	})
}

// leader returns the node that leads the only log.
func (s *story) leader() *node {
	s.t.Helper()
	for _, n := range s.nodes {
		if n.groups != nil && n.logs[s.logs[0]].machine.isLeading() {
			return n
		}
	}
	s.t.Fatal("there is no leader")
	return nil
}

// proposeMany sends proposals over a while.
func (s *story) proposeMany(n int) {
	for range n {
		s.propose()
		s.wait(tick / 20)
	}
	s.wait(2 * tick)
}

// A replica can fall too far behind more than once in its life, and a late copy of an old offer must not keep it from the next.
func TestAReplicaTakesOneSnapshotAfterAnother(t *testing.T) {
	scene(t, func(s *story) {
		away := s.nodes[2]
		for round := range 6 {
			for _, other := range s.nodes[:2] {
				s.network.Cut(away.id, other.id, true)
				s.network.Cut(other.id, away.id, true)
			}
			s.network.Set(simnet.Faults{})
			s.wait(20 * tick)
			for range 4 {
				s.proposeMany(30)
				s.nodes[0].trim()
				s.nodes[1].trim()
			}
			before := s.judge.count().Snapshots
			s.network.Set(simnet.Faults{Double: 1, Delay: 2 * tick})
			s.network.Heal()
			s.wait(100 * tick)
			if s.judge.count().Snapshots == before {
				t.Fatalf("round %d: no snapshot was taken", round)
			}
		}
	})
}

// When the disks of a majority are full, nothing can be committed, and nobody hears of it from a lost leader: publishers are told
// nevertheless.
func TestPublishersHearThatNoMajorityCanStore(t *testing.T) {
	scene(t, func(s *story) {
		leader := s.leader()
		for _, n := range s.nodes {
			if n != leader {
				s.fill(n)
			}
		}
		for range 40 { // until what was allocated ahead is used up
			s.proposeMany(10)
		}
		s.wait(40 * tick)
		if n := s.judge.unanswered(); n > 0 {
			t.Errorf("%d proposals have no answer after %v", n, 40*tick)
		}
		if s.judge.count().Unknown == 0 {
			t.Error("the disks were not full")
		}
	})
}

// Leadership that moves by plan, away from a node that stops and back to it, is as good as never moved: whoever lets go records all it
// has, before the other begins.
func TestAPlannedMoveTakesWhatTheLeaderHasLeft(t *testing.T) {
	scene(t, func(s *story) {
		preferred := s.nodes[0]
		if s.leader() != preferred {
			t.Fatal("the preferred node does not lead at first")
		}
		for range 10 {
			s.proposeMany(10)
			preferred.handover()
			s.wait(20 * tick)
			if s.leader() == preferred {
				t.Fatal("a node that is stopped leads")
			}
			preferred.start()
			s.proposeMany(10)
			s.wait(40 * tick)
			if s.leader() != preferred {
				t.Fatal("the preferred node does not lead again")
			}
		}
		if n := s.judge.count(); n.WordsTaken != 20 || n.WordsRefused != 0 || n.Unknown != 0 {
			t.Errorf("in 20 planned moves %d leaders recorded what they had left, %d could not; %d proposals have an unknown outcome",
				n.WordsTaken, n.WordsRefused, n.Unknown)
		}
	})
}

// A preferred replica that is alive and cannot store anything is offered the leadership while nothing tells it from one that can, each
// time at the price of a pause: then the leader goes on. Once there is something that it lacks, it is left alone.
func TestAPreferredReplicaThatCannotLeadStopsNobody(t *testing.T) {
	scene(t, func(s *story) {
		preferred := s.nodes[0]
		for s.leader() == preferred {
			preferred.handover()
			s.wait(20 * tick)
		}
		preferred.start()
		s.fill(preferred)
		s.wait(time.Minute)
		before := s.judge.count()
		const proposals = 200
		for range proposals { // seldom enough for the replica not to fall far behind
			s.propose()
			s.wait(10 * tick)
		}
		after := s.judge.count()
		if before.WordsTaken < 2 || after.WordsTaken > before.WordsTaken || s.leader() == preferred {
			t.Errorf("leadership was offered %d times before, %d times after there was something that the replica lacks, or was taken",
				before.WordsTaken, after.WordsTaken-before.WordsTaken)
		}
		committed, refused := after.Committed-before.Committed, after.NotLeader-before.NotLeader
		t.Logf("%d committed, %d refused", committed, refused)
		if committed < 9*refused {
			t.Errorf("of %d proposals %d were committed and %d refused", proposals, committed, refused)
		}
	})
}

// The followers are alive and cannot store what a leader records before a move. What it recorded may be committed yet, however long that
// takes: it must not serve again without it.
func TestALeaderServesAgainOnlyWithAllThatItRecorded(t *testing.T) {
	scene(t, func(s *story) {
		old := s.leader()
		for _, n := range s.nodes[1:] {
			s.fill(n)
		}
		for tries := 0; s.judge.unanswered() == 0; tries++ { // until what was allocated ahead is used up
			if tries == 200 {
				t.Fatal("the disks do not get full")
			}
			s.proposeMany(5)
		}
		old.letGo(2 * tick)
		s.wait(60 * tick)
		if n := s.judge.count(); n.WordsRefused != 1 || n.Unknown == 0 || s.judge.has(s.logs[0], lastWords+"1") {
			t.Fatalf("the leader was not kept from recording what it had left: %+v", n)
		}
		if old.logs[s.logs[0]].machine.isLeading() {
			t.Error("the leader serves again, and what it recorded is not committed")
		}
		for _, n := range s.nodes[1:] {
			s.fill(n) // there is room again
		}
		s.wait(20 * tick)
		if s.leader() != old || !s.judge.has(s.logs[0], lastWords+"1") {
			t.Error("the leader does not serve again, or not with all that it recorded")
		}
	})
}

// A replica that has everything and takes no leadership does not keep a node that stops from giving it to another.
func TestANodeThatStopsAsksAnotherReplicaWhenOneDoesNotTakeOver(t *testing.T) {
	scene(t, func(s *story) {
		old := s.leader()
		s.fill(s.nodes[1])
		s.wait(15 * tick) // until it has noticed
		begun := time.Now()
		old.letGo(15 * tick)
		took := time.Since(begun)
		s.wait(2 * tick)
		if s.leader() != s.nodes[2] {
			t.Error("the third node does not lead")
		}
		if took < 5*tick {
			t.Errorf("the node with a full disk was not asked: leadership moved after %v", took)
		}
		old.stop()
	})
}

// A leader that can store nothing itself lets the others go on: what they have need not be on its own disk.
func TestALeaderThatCannotStoreHandsOver(t *testing.T) {
	scene(t, func(s *story) {
		old := s.nodes[0]
		old.stop()
		old.fault = vfs.NewFault(old.disk)
		old.start()
		s.wait(60 * tick)
		if s.leader() != old {
			t.Fatal("the preferred node does not lead")
		}
		for _, files := range []string{"*.log", "*.new"} { // a file of the log, as it is called and as it was made
			old.fault.Add(vfs.Rule{Op: vfs.OpWrite, Match: files, Err: vfs.ErrNoSpace})
		}
		s.proposeMany(10)
		s.wait(20 * tick)
		if old.fault.Hits() == 0 {
			t.Fatal("the disk was not full")
		}
		if s.leader() == old {
			t.Error("the leader did not hand over")
		}
		old.fault.Clear()
		s.wait(20 * tick)
	})
}
