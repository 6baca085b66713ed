package replica

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

// nobody is Peers without any.
type nobody struct{ Peers }

func (nobody) Send(catalog.NodeID, Lane, [][]byte) bool { return false }
func (nobody) Up(catalog.NodeID) bool                   { return false }

// openAlone opens the groups of a node whose replicas are alone in their groups.
func openAlone(t *testing.T, workers int) *Groups {
	t.Helper()
	disk := vfs.NewMem(1)
	store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: "data", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	logs := NewLogs(store, Options{FS: disk, Dir: "data"})
	groups, err := NewGroups(GroupsOptions{Store: store, FS: disk, Dir: "data", Space: logs.Space(), Self: 1, Peers: nobody{}, Tick: 5 * time.Millisecond, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		groups.each(func(g *Group) { _ = g.Close() })
		if err := groups.Close(); err != nil {
			t.Error(err)
		}
		logs.Close()
		_ = store.Close()
	})
	return groups
}

func lead(t *testing.T, groups *Groups, topic uint64, m broker.Machine) *Group {
	t.Helper()
	g, err := groups.Open(broker.LogID{Topic: topic}, m, GroupConfig{Self: 1, Replicas: map[uint64]catalog.NodeID{1: 1}, Preferred: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(0); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); !g.leading.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the only replica does not lead")
		}
	}
	return g
}

// A replica that fails in a pass answers also what that pass had just taken.
func TestAFailingPassAnswersItsProposals(t *testing.T) {
	m := logtest.NewRecorder()
	g := lead(t, openAlone(t, 1), 1, m)
	held, gate := make(chan struct{}), make(chan struct{})
	g.call(func() { close(held); <-gate })
	<-held
	g.call(func() { panic("a broken invariant") })
	w := logtest.Propose(g, m, record.KindControl, []byte("late"))
	close(gate)
	if p := w.Outcome(t); !errors.Is(p.Err, broker.ErrFailed) {
		t.Fatalf("answered %v", p.Err)
	}
}

// slowMachine takes its time for each entry, once it is to.
type slowMachine struct {
	broker.Machine
	slow atomic.Bool
}

func (m *slowMachine) Apply(e *record.Entry) {
	if m.slow.Load() {
		time.Sleep(20 * time.Millisecond)
	}
	m.Machine.Apply(e)
}

// What a replica has to apply, and however long that takes, the others of the node get their turn.
func TestALongBacklogLeavesOthersTheirTurn(t *testing.T) {
	groups := openAlone(t, 1)
	m := &slowMachine{Machine: logtest.NewRecorder()}
	busy, other := lead(t, groups, 1, m), lead(t, groups, 2, logtest.NewRecorder())
	m.slow.Store(true)
	const entries = 100
	for range entries { // of a size that few go into a Ready
		busy.Propose(&broker.Proposal{Kind: record.KindControl, Payload: make([]byte, applyBytes/8)})
	}
	taken, held, gate := make(chan struct{}), make(chan struct{}), make(chan struct{})
	busy.call(func() { close(taken) })
	<-taken
	busy.call(func() { close(held); <-gate }) // in the pass behind the one that proposes
	<-held
	for deadline := time.Now().Add(10 * time.Second); busy.log().Bounds().LastIndex < entries; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			close(gate)
			t.Fatal("the entries are not stored")
		}
	}
	close(gate)
	time.Sleep(20 * time.Millisecond) // the next pass begins to apply them
	begun := time.Now()
	turn := make(chan struct{})
	other.call(func() { close(turn) })
	<-turn
	if took := time.Since(begun); took > time.Second {
		t.Fatalf("it waited %v", took)
	}
}
