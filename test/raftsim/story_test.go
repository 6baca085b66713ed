package raftsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/testkit/simnet"
	"github.com/weirmq/weir/internal/vfs"
)

const (
	dataDir = "data"
	tick    = 100 * time.Millisecond
	steps   = 60
)

// story is what happens to one cluster.
type story struct {
	t       *testing.T
	rng     *rand.Rand
	totals  *totals
	judge   *judge
	network *simnet.Network
	nodes   []*node
	logs    []broker.LogID
	sent    int
}

// node is one node, up or down.
type node struct {
	story  *story
	id     catalog.NodeID
	disk   *vfs.Mem
	store  *commitlog.Store
	alone  *replica.Logs
	groups *replica.Groups // nil while the node is down
	logs   map[broker.LogID]*open
	hurt   bool       // its disk lost something: its replicas may refuse to start
	full   bool       // its disk has no free space
	fault  *vfs.Fault // makes calls of the disk fail; nil for none
}

type open struct {
	log     broker.Log
	machine *machine
}

func newStory(t *testing.T, seed uint64, totals *totals) *story {
	s := &story{t: t, rng: rand.New(rand.NewPCG(seed, 1)), totals: totals, judge: newJudge(t, totals), network: simnet.New(seed)}
	for i := range 3 + 2*s.rng.IntN(2) {
		s.nodes = append(s.nodes, &node{story: s, id: catalog.NodeID(i + 1), disk: vfs.NewMem(seed*10 + uint64(i))})
	}
	for i := range 1 + s.rng.IntN(3) {
		s.logs = append(s.logs, broker.LogID{Topic: 7, Partition: uint16(i)})
	}
	return s
}

func (s *story) run() {
	for _, n := range s.nodes {
		n.start()
	}
	s.wait(3 * tick)
	for range steps {
		s.step()
		s.wait(time.Duration(s.rng.Int64N(int64(4 * tick))))
		if s.t.Failed() {
			break
		}
	}
	s.settle()
	for _, n := range s.nodes {
		n.stop()
	}
	c := s.network.Counts()
	s.totals.Sent, s.totals.Dropped, s.totals.Doubled = s.totals.Sent+c.Sent, s.totals.Dropped+c.Dropped, s.totals.Doubled+c.Doubled
	s.judge.check()
}

func (s *story) wait(d time.Duration) { time.Sleep(d) }

// step does one thing, or several proposals.
func (s *story) step() {
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	switch p := s.rng.IntN(100); {
	case p < 45:
		for range 1 + s.rng.IntN(20) {
			s.propose()
		}
	case p < 55:
		s.crash(n)
	case p < 60:
		s.stop(n)
	case p < 72:
		n.start()
	case p < 80:
		s.cut(n)
	case p < 86:
		s.network.Heal()
	case p < 90:
		s.network.Set(simnet.Faults{Drop: s.rng.Float64() * 0.2, Double: s.rng.Float64() * 0.1, Delay: time.Duration(s.rng.Int64N(int64(2 * tick)))})
	case p < 92:
		s.network.Set(simnet.Faults{})
	case p < 94:
		s.fill(n)
	case p < 98:
		n.trim()
	default:
		n.handover()
	}
}

// propose sends one proposal to a replica that leads, or to one that does not.
func (s *story) propose() {
	id := s.logs[s.rng.IntN(len(s.logs))]
	var to *node
	for _, i := range s.rng.Perm(len(s.nodes)) {
		n := s.nodes[i]
		if n.groups == nil || n.logs[id] == nil {
			continue
		}
		if to = n; n.logs[id].machine.isLeading() || s.rng.IntN(10) == 0 {
			break
		}
	}
	if to == nil {
		return
	}
	s.sent++
	body := fmt.Sprintf("m%d %s", s.sent, strings.Repeat(".", s.rng.IntN(300)))
	p := &broker.Proposal{Kind: record.KindControl, Payload: []byte(body), Owner: &answer{s.judge, id, to.id, body}}
	if s.rng.IntN(4) > 0 {
		var b record.Builder
		b.Append([]byte(body), 0)
		p.Kind, p.Payload = record.KindBatch, b.Finish(1)
	}
	s.judge.asked(body)
	to.logs[id].log.Propose(p)
}

// cut separates a node from the others, in one direction or both, or only from one of them.
func (s *story) cut(n *node) {
	s.totals.Cuts++
	in, out := s.rng.IntN(3) > 0, s.rng.IntN(3) > 0
	for _, other := range s.nodes {
		if other == n || s.rng.IntN(4) == 0 {
			continue
		}
		if in {
			s.network.Cut(other.id, n.id, true)
		}
		if out {
			s.network.Cut(n.id, other.id, true)
		}
	}
}

// crash takes the power, in the middle of one of the next operations of the disk.
func (s *story) crash(n *node) {
	if n.groups == nil {
		return
	}
	s.totals.Crashes++
	n.disk.CrashAfter(s.rng.IntN(30))
	for range s.rng.IntN(10) {
		s.propose()
	}
	s.wait(time.Duration(s.rng.Int64N(int64(tick))))
	n.close()
	n.disk = n.disk.Crash(s.rng.Uint64())
	if s.rng.IntN(6) == 0 && !s.anyHurt() {
		n.damage("votes")
	}
}

// stop ends a node cleanly. Its disk may be damaged while it is down, but only one node's: what a minority holds must be told from
// what was torn, and after a power cut that cannot be done for what was written in the last 100 ms.
func (s *story) stop(n *node) {
	if n.groups == nil {
		return
	}
	n.stop()
	if s.rng.IntN(3) == 0 && !s.anyHurt() {
		n.damage("votes", ".log")
	}
}

// fill takes all free space of a node's disk, or gives it back.
func (s *story) fill(n *node) {
	if n.full = !n.full; n.full {
		s.totals.Filled++
		n.disk.SetCapacity(1)
		return
	}
	n.disk.SetCapacity(0)
}

func (s *story) anyHurt() bool {
	for _, n := range s.nodes {
		if n.hurt {
			return true
		}
	}
	return false
}

// settle makes everything well again, and sees to it that all replicas end alike and hold all that was answered.
func (s *story) settle() {
	s.network.Heal()
	s.network.Set(simnet.Faults{})
	for _, n := range s.nodes {
		n.disk.SetCapacity(0)
		n.start()
	}
	for range 40 {
		s.wait(2 * tick)
	}
	for _, id := range s.logs {
		s.expectAlike(id)
	}
}

func (s *story) expectAlike(id broker.LogID) {
	s.judge.mu.Lock()
	last := s.judge.log(id).last
	s.judge.mu.Unlock()
	leaders, well := 0, 0
	for _, n := range s.nodes {
		o := n.logs[id]
		if o == nil {
			continue
		}
		o.machine.mu.Lock()
		at, leading, failed := o.machine.at, o.machine.leading, o.machine.failed
		o.machine.mu.Unlock()
		if failed != nil && n.hurt {
			continue
		}
		well++
		if leading {
			leaders++
		}
		if at != last || failed != nil {
			for _, other := range s.nodes {
				if other.groups != nil {
					s.t.Logf("node %d: %+v", other.id, other.groups.Status(context.Background()))
				}
			}
			s.t.Errorf("log %v: node %d has applied %d entries of %d (%v)", id, n.id, at, last, failed)
		}
	}
	if leaders != 1 || well <= len(s.nodes)/2 {
		s.t.Errorf("log %v: %d leaders, %d of %d replicas are well", id, leaders, well, len(s.nodes))
	}
}

// start brings a node up, if it is down.
func (n *node) start() {
	if n.groups != nil {
		return
	}
	s := n.story
	n.disk.SetCapacity(0) // somebody has made room
	n.full = false
	s.totals.Lives++
	quiet := slog.New(slog.DiscardHandler)
	var disk vfs.FS = n.disk
	if n.fault != nil {
		disk = n.fault
	}
	store, err := commitlog.OpenStore(commitlog.Options{FS: disk, Dir: dataDir, Logger: quiet, MinSegmentBytes: 2 << 10, MaxSegmentBytes: 4 << 10, CacheBytes: 8 << 10})
	if err != nil {
		n.refused("store", err)
		return
	}
	alone := replica.NewLogs(store, replica.Options{FS: disk, Dir: dataDir, ReserveBytes: 1})
	groups, err := replica.NewGroups(replica.GroupsOptions{Store: store, FS: disk, Dir: dataDir, Space: alone.Space(), Self: n.id,
		Peers: s.network.Peers(n.id), Tick: tick, Workers: 2})
	if err != nil {
		alone.Close()
		n.refused("groups", errors.Join(err, store.Close()))
		return
	}
	n.store, n.alone, n.groups, n.logs = store, alone, groups, make(map[broker.LogID]*open)
	s.network.Attach(n.id, groups)
	for _, id := range s.logs {
		if err := n.open(id); err != nil {
			n.refused(fmt.Sprint("log ", id), err)
		}
	}
}

func (n *node) open(id broker.LogID) error {
	m := &machine{judge: n.story.judge, id: id, node: n.id}
	config := replica.GroupConfig{Self: uint64(n.id), Replicas: map[uint64]catalog.NodeID{}, Preferred: uint64(id.Partition)%3 + 1}
	for _, other := range n.story.nodes {
		config.Replicas[uint64(other.id)] = other.id
	}
	log, err := n.groups.Open(id, m, config)
	if err != nil {
		return err
	}
	m.log = log
	state, at, err := log.Checkpoint()
	if err == nil && at > 0 {
		m.judge.mu.Lock()
		err = m.load(state, at)
		m.judge.mu.Unlock()
	}
	if err == nil {
		err = log.Start(at)
	}
	if err != nil {
		return errors.Join(err, log.Close())
	}
	n.logs[id] = &open{log, m}
	return nil
}

// refused notes that something did not start: only a disk that was hurt, or whose calls fail, may be the cause.
func (n *node) refused(what string, err error) {
	n.story.totals.Refused++
	if !n.hurt && (n.fault == nil || n.fault.Hits() == 0) {
		n.story.t.Errorf("node %d: %s does not start: %v", n.id, what, err)
	}
}

// stop ends a node cleanly.
func (n *node) stop() {
	if n.groups != nil {
		n.story.totals.CleanStops++
		n.close()
	}
}

// close ends a node; on a disk that has stopped, errors are no news.
func (n *node) close() {
	if n.groups == nil {
		return
	}
	for _, o := range n.logs {
		_ = o.log.Close()
	}
	n.story.network.Attach(n.id, nil)
	_ = n.groups.Close()
	n.alone.Close()
	_ = n.store.Close()
	n.groups, n.logs = nil, nil
}

// trim checkpoints and deletes the front of the logs.
func (n *node) trim() {
	if n.groups == nil {
		return
	}
	for _, o := range n.logs {
		for range 2 {
			if state, at := o.machine.state(); at > 0 && o.log.SaveCheckpoint(state, at) != nil {
				return
			}
			n.story.propose()
			n.story.wait(tick / 2)
		}
		if n.groups == nil || o.log.Trim(1<<60) != nil {
			return
		}
		n.story.totals.Trims++
	}
}

func (n *node) handover() {
	if n.groups == nil {
		return
	}
	n.letGo(2 * tick)
	n.stop()
}

// letGo gives leadership to others, as before a stop.
func (n *node) letGo(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n.groups.Handover(ctx)
	n.story.totals.Handovers++
}

// damage changes one byte of one file of a node that is down: of those whose names end in a suffix.
func (n *node) damage(suffixes ...string) {
	var files []string
	var walk func(dir string)
	walk = func(dir string) {
		names, _ := n.disk.ReadDir(dir)
		for _, name := range names {
			path := dir + "/" + name
			if info, err := n.disk.Stat(path); err == nil && info.IsDir {
				walk(path)
			} else if err == nil && info.Size > 0 && slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) }) {
				files = append(files, path)
			}
		}
	}
	walk(dataDir)
	if len(files) == 0 {
		return
	}
	n.hurt = true
	n.story.totals.Damaged++
	name := files[n.story.rng.IntN(len(files))]
	f, err := n.disk.OpenWrite(name)
	if err != nil {
		n.story.t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	pos := n.story.rng.Int64N(size)
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, pos); err != nil && !bytes.Equal(b, []byte{0}) {
		n.story.t.Fatal(err)
	}
	b[0] ^= 1 << n.story.rng.IntN(8)
	if _, err := f.WriteAt(b, pos); err != nil {
		n.story.t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		n.story.t.Fatal(err)
	}
}
