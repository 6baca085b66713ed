package raftsim

import (
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/simnet"
	"github.com/weirmq/weir/internal/vfs"
)

// defaultFailingCalls is how many cases a plain run takes.
const defaultFailingCalls = 60

// failing is one way in which one call of a node's disk fails, or that call and all later ones.
type failing struct {
	nodes int
	rule  vfs.Rule
}

func (f failing) String() string {
	on := "once"
	if f.rule.Times == 0 {
		on = "on"
	}
	return fmt.Sprintf("%d nodes, %s call %d, %v %s, %d bytes written", f.nodes, f.rule.Op, f.rule.Nth, f.rule.Err, on, f.rule.Part)
}

// The n-th call of the disk of the preferred leader fails, for every n of a scene in which it leads, stops, falls behind, takes a
// snapshot and has its log's end replaced. Then its disk is well again.
//
//	WEIR_FAILING_CALLS=1000000 go test -run EveryFailingCall ./test/raftsim     all calls
func TestEveryFailingCallOfAReplicaLosesNothing(t *testing.T) {
	var all []failing
	for _, nodes := range []int{1, 3} {
		calls, writes := failingScene(t, failing{nodes, vfs.Rule{Err: syscall.EIO, Nth: 1 << 40}}, &totals{})
		if calls < 100 || writes < 20 {
			t.Fatalf("%d calls, %d writes", calls, writes)
		}
		for n := 1; n <= calls; n++ {
			for _, rule := range []vfs.Rule{{Err: syscall.EIO, Times: 1}, {Err: syscall.EIO}, {Err: vfs.ErrNoSpace, Times: 1}} {
				rule.Nth = n
				all = append(all, failing{nodes, rule})
			}
		}
		for n := 1; n <= writes; n++ {
			all = append(all, failing{nodes, vfs.Rule{Op: vfs.OpWrite, Nth: n, Times: 1, Err: syscall.EIO, Part: 100}},
				failing{nodes, vfs.Rule{Op: vfs.OpWrite, Nth: n, Times: 1, Err: vfs.ErrNoSpace, Part: 1 << 20}})
		}
	}
	wanted := min(len(all), env.Number(t, "WEIR_FAILING_CALLS", defaultFailingCalls))
	var total totals
	for i := range wanted {
		f := all[i*len(all)/wanted]
		t.Run(f.String(), func(t *testing.T) { failingScene(t, f, &total) })
		if t.Failed() {
			t.FailNow()
		}
	}
	if total.Failing < wanted*8/10 || total.Committed == 0 || total.Unknown == 0 {
		t.Errorf("in %d cases: %+v", wanted, total)
	}
	faultreport.Write(t, faultreport.Row{Fault: "failing calls, replicas", Injected: total.Failing, Acknowledged: total.Committed,
		Note: fmt.Sprintf("%d of %d cases; %d proposals of unknown outcome, %d refused; %d starts refused", wanted, len(all), total.Unknown,
			total.NotLeader+total.Full, total.Refused)})
}

// failingScene plays one case. It returns how many calls and writes there were.
func failingScene(t *testing.T, f failing, totals *totals) (calls, writes int) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, 1, totals)
		s.nodes, s.logs = s.nodes[:f.nodes], []broker.LogID{{Topic: 7, Partition: 0}}
		n := s.nodes[0]
		n.fault = vfs.NewFault(n.disk)
		n.fault.Add(f.rule)
		for _, n := range s.nodes {
			n.start()
		}
		s.wait(20 * tick)
		s.proposeMany(20)
		n.trim()
		s.proposeMany(10)
		n.again(n.fault)
		s.proposeMany(10)
		s.overtake(n)
		s.proposeMany(5)
		if n.fault.Hits() > 0 {
			totals.Failing++
		}
		calls, writes = n.fault.Calls(vfs.OpAny), n.fault.Calls(vfs.OpWrite)
		n.again(nil)
		s.settle()
		for _, n := range s.nodes {
			n.stop()
		}
		s.judge.check()
	})
	return calls, writes
}

// again ends the node's process and starts another.
func (n *node) again(fault *vfs.Fault) {
	n.stop()
	if fault == nil { // the disk is well
		n.fault, n.disk = nil, n.disk.Kill()
	}
	n.start()
	n.story.wait(10 * tick)
}

// overtake cuts a node off while it leads, so that it has entries that another leader replaces, and for so long that it needs a
// snapshot.
func (s *story) overtake(n *node) {
	for _, other := range s.nodes {
		if other != n {
			s.network.Cut(n.id, other.id, true)
			s.network.Cut(other.id, n.id, true)
		}
	}
	for range 4 {
		s.proposeMany(15)
		for _, other := range s.nodes {
			if other != n {
				other.trim()
			}
		}
	}
	s.network.Heal()
	s.network.Set(simnet.Faults{})
	s.wait(60 * tick)
}
