package replica_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/testkit/simnet"
	"github.com/weirmq/weir/internal/vfs"
)

// groupNode is a node with Raft groups. It implements broker.Logs for the suite of the contract.
type groupNode struct {
	*node
	groups   *replica.Groups
	network  *simnet.Network
	self     catalog.NodeID
	replicas map[uint64]catalog.NodeID
}

func openGroups(t *testing.T, network *simnet.Network, fsys vfs.FS, dir string, sync commitlog.SyncPolicy, self catalog.NodeID, replicas map[uint64]catalog.NodeID) *groupNode {
	t.Helper()
	n := &groupNode{node: open(t, fsys, dir, sync), network: network, self: self, replicas: replicas}
	var err error
	n.groups, err = replica.NewGroups(replica.GroupsOptions{Store: n.store, FS: fsys, Dir: dir, Space: n.Space(), Self: self,
		Peers: network.Peers(self), Tick: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	network.Attach(self, n.groups)
	t.Cleanup(n.closeAll)
	return n
}

func (n *groupNode) closeAll() {
	if n.groups != nil {
		n.network.Attach(n.self, nil)
		_ = n.groups.Close()
		n.groups = nil
	}
	n.node.close()
}

func (n *groupNode) config() replica.GroupConfig {
	for id, node := range n.replicas {
		if node == n.self {
			return replica.GroupConfig{Self: id, Replicas: n.replicas, Preferred: 1}
		}
	}
	panic("the node has no replica")
}

// Create implements broker.Logs: Open makes the log.
func (n *groupNode) Create(broker.LogID) error { return nil }

// Open implements broker.Logs.
func (n *groupNode) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	return n.groups.Open(id, m, n.config())
}

// Delete implements broker.Logs.
func (n *groupNode) Delete(id broker.LogID) error { return n.groups.Delete(id) }

func TestThreeReplicasShareOneLog(t *testing.T) {
	network := simnet.New(1)
	replicas := map[uint64]catalog.NodeID{1: 1, 2: 2, 3: 3}
	id := broker.LogID{Topic: 9, Partition: 4}
	var logs []broker.Log
	var machines []*logtest.Recorder
	for self := catalog.NodeID(1); self <= 3; self++ {
		n := openGroups(t, network, vfs.Disk(), t.TempDir(), commitlog.SyncAlways, self, replicas)
		m := logtest.NewRecorder()
		l, err := n.Open(id, m)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Start(0); err != nil {
			t.Fatal(err)
		}
		logs, machines = append(logs, l), append(machines, m)
	}
	var leader int
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		leader = -1
		for i, m := range machines {
			if m.Leading() {
				leader = i
			}
		}
		if leader >= 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no leader")
		}
	}
	var last *broker.Proposal
	for i := range 200 {
		last = logtest.Propose(logs[leader], machines[leader], record.KindBatch, logtest.Batch([]byte{byte(i)})).Outcome(t)
		if last.Err != nil {
			t.Fatal(last.Err)
		}
	}
	for i, m := range machines {
		m.Wait(t, "the last entry", func() bool { return m.Last() >= last.Index })
		if end := endOf(logs[i]); end != 200 {
			t.Fatalf("replica %d ends at %d", i, end)
		}
		m.Check(t)
	}
	for i := range logs {
		if err := logs[i].Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func endOf(l broker.Log) record.Offset {
	_, end := l.Bounds()
	return end
}

// ledLog is a log whose Start waits until this replica leads, as the suite of the contract expects of a lone node's.
type ledLog struct {
	broker.Log
	machine *logtest.Recorder
}

func (l ledLog) Start(above record.Index) error {
	if err := l.Log.Start(above); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); !l.machine.Leading(); time.Sleep(time.Millisecond) {
		if err := l.machine.Failure(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the only replica does not lead")
		}
	}
	return nil
}

// oneVoter is a node whose replicas are alone in their groups.
type oneVoter struct{ *groupNode }

func (n oneVoter) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	if there, err := n.List(); err != nil || !slices.Contains(there, id) { // a group's Open makes what was never made
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	l, err := n.groupNode.Open(id, m)
	if err != nil {
		return nil, err
	}
	return ledLog{l, m.(*logtest.Recorder)}, nil
}

func (n oneVoter) Create(id broker.LogID) error {
	if there, err := n.List(); err != nil || slices.Contains(there, id) {
		return errors.Join(fs.ErrExist, err)
	}
	l, err := n.groupNode.Open(id, logtest.NewRecorder())
	if err != nil {
		return err
	}
	return l.Close()
}

func TestOneReplicaKeepsTheContract(t *testing.T) {
	replicas := map[uint64]catalog.NodeID{1: 1}
	for _, sync := range []commitlog.SyncPolicy{commitlog.SyncAlways, commitlog.SyncOS} {
		t.Run(sync.String(), func(t *testing.T) {
			logtest.Run(t, logtest.Config{
				New: func(t *testing.T) broker.Logs {
					return oneVoter{openGroups(t, simnet.New(1), vfs.Disk(), t.TempDir(), sync, 1, replicas)}
				},
				Reopen: func(t *testing.T, old broker.Logs) broker.Logs {
					n := old.(oneVoter)
					n.closeAll()
					return oneVoter{openGroups(t, simnet.New(1), n.fs, n.dir, n.sync, 1, replicas)}
				},
			})
		})
	}
}

func TestWhatOneReplicaAnsweredOutlivesPowerCuts(t *testing.T) {
	logtest.RunCrash(t, logtest.CrashConfig{Lives: 60, Open: func(disk vfs.FS) (broker.Logs, func() error, error) {
		store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: "data", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, nil, err
		}
		logs := replica.NewLogs(store, replica.Options{FS: disk, Dir: "data"})
		network := simnet.New(1)
		groups, err := replica.NewGroups(replica.GroupsOptions{Store: store, FS: disk, Dir: "data", Space: logs.Space(), Self: 1,
			Peers: network.Peers(1), Tick: time.Millisecond})
		if err != nil {
			logs.Close()
			return nil, nil, errors.Join(err, store.Close())
		}
		n := oneVoter{&groupNode{node: &node{Logs: logs, store: store, fs: disk, dir: "data"}, groups: groups, network: network, self: 1,
			replicas: map[uint64]catalog.NodeID{1: 1}}}
		return n, func() error { logs.Close(); return errors.Join(groups.Close(), store.Close()) }, nil
	}})
}

// A disk that may have forgotten keeps a replica from voting once it has voted, also if it remembers no entry: it may have had some.
func TestAForgetfulReplicaWithoutEntriesDoesNotStart(t *testing.T) {
	disk := vfs.NewMem(1)
	id := broker.LogID{Topic: 9}
	life := func(forgetful string, use func(*replica.Groups)) {
		n := open(t, disk, "data", commitlog.SyncOS)
		defer n.close()
		groups, err := replica.NewGroups(replica.GroupsOptions{Store: n.store, FS: disk, Dir: "data", Space: n.Space(), Self: 1,
			Peers: simnet.New(1).Peers(1), Tick: time.Millisecond, Forgetful: forgetful})
		if err != nil {
			t.Fatal(err)
		}
		use(groups)
		if err := groups.Close(); err != nil {
			t.Fatal(err)
		}
	}
	openReplica := func(groups *replica.Groups, m broker.Machine) (*replica.Group, error) {
		return groups.Open(id, m, replica.GroupConfig{Self: 1, Replicas: map[uint64]catalog.NodeID{1: 1, 2: 2, 3: 3}, Preferred: 1})
	}
	for range 2 { // made, and not yet voted: it has promised nothing
		life("power was lost", func(groups *replica.Groups) {
			g, err := openReplica(groups, logtest.NewRecorder())
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	life("", func(groups *replica.Groups) { // it seeks election alone: a term, and no entry
		g, err := openReplica(groups, logtest.NewRecorder())
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Start(0); err != nil {
			t.Fatal(err)
		}
		frame := []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 5, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0} // replica 2 asks for a vote in term 3
		if err := groups.Receive(2, frame); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			if s := groups.Status(t.Context()); len(s) == 1 && s[0].Term == 3 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the replica has no term")
			}
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	})
	life("power was lost", func(groups *replica.Groups) {
		if _, err := openReplica(groups, logtest.NewRecorder()); err == nil {
			t.Fatal("a replica that has voted, and may have lost its entries, starts")
		}
	})
}

func TestARepairedReplicaDoesNotVote(t *testing.T) {
	dir, id := t.TempDir(), broker.LogID{Topic: 5}
	replicas := map[uint64]catalog.NodeID{1: 1}
	n := oneVoter{openGroups(t, simnet.New(1), vfs.Disk(), dir, commitlog.SyncAlways, 1, replicas)}
	if err := n.Create(id); err != nil {
		t.Fatal(err)
	}
	m := logtest.NewRecorder()
	l, err := n.Open(id, m)
	if err == nil {
		err = l.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if p := logtest.Propose(l, m, record.KindBatch, logtest.Batch(make([]byte, 500))).Outcome(t); p.Err != nil {
			t.Fatal(p.Err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	n.closeAll()
	logDir := filepath.Join(dir, "logs", commitlog.LogID(id).String())
	files, err := filepath.Glob(filepath.Join(logDir, "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 400); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := commitlog.Repair(vfs.Disk(), logDir, false); err != nil {
		t.Fatal(err)
	}
	again := openGroups(t, simnet.New(1), vfs.Disk(), dir, commitlog.SyncAlways, 1, replicas)
	if _, err := again.Open(id, logtest.NewRecorder()); err == nil || !strings.Contains(err.Error(), "repaired") {
		t.Fatalf("a repaired replica was opened: %v", err)
	}
}
