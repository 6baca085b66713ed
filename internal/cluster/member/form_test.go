package member

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/vfs"
)

// town is nodes that see each other at once, and may fail to: a Gossip without a network.
type town struct {
	mu    sync.Mutex
	nodes map[string]*townsman
	loss  *rand.Rand // drops half of the messages; nil: none
}

// townsman is one run of one node.
type townsman struct {
	town   *town
	node   Node
	former *Former
}

func (m *townsman) Nodes() (all []Node) {
	m.town.mu.Lock()
	defer m.town.mu.Unlock()
	for _, other := range m.town.nodes {
		all = append(all, other.node)
	}
	return all
}

func (m *townsman) Send(_ context.Context, name string, message []byte) error {
	m.town.mu.Lock()
	to := m.town.nodes[name]
	lost := m.town.loss != nil && m.town.loss.IntN(2) == 0
	m.town.mu.Unlock()
	if to == nil {
		return errors.New("not there")
	}
	if !lost {
		to.former.Received(m.node.Name, bytes.Clone(message))
	}
	return nil
}

// life runs a node on its disk until it is formed or fails, as weir does.
func (w *town) life(ctx context.Context, disk vfs.FS, name, list string, log *bytes.Buffer, mutate func(*FormOptions)) (Identity, error) {
	if err := makeDir(disk); err != nil {
		return Identity{}, err
	}
	r, err := Open(disk, "data", "")
	if err != nil {
		return Identity{}, err
	}
	joinList, err := ParseJoinList(list)
	if err != nil {
		return Identity{}, err
	}
	m := &townsman{town: w, node: Node{Name: name, GossipAddress: address(name), PeerAddress: "peer-" + name, List: joinList.Digest()}}
	o := FormOptions{Name: name, List: joinList, Gossip: m}
	if log != nil {
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	if mutate != nil {
		mutate(&o)
	}
	m.former = NewFormer(r, o)
	if v, ok := r.Identity(); ok {
		m.node.ClusterID = v.ClusterID
	}
	w.set(name, m)
	v, err := m.former.Run(ctx)
	if err != nil {
		w.set(name, nil)
		return v, err
	}
	formed := *m
	formed.node.ClusterID = v.ClusterID
	w.set(name, &formed)
	return v, nil
}

func (w *town) set(name string, m *townsman) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m == nil {
		delete(w.nodes, name)
	} else {
		w.nodes[name] = m
	}
}

func newTown() *town { return &town{nodes: make(map[string]*townsman)} }

// address gives node a the address 10.0.0.1 and so on.
func address(name string) string { return fmt.Sprintf("10.0.0.%d:4181", name[0]-'a'+1) }

const three = "10.0.0.1,10.0.0.2,10.0.0.3"

// checkOne fails unless the identities are those of nodes of one cluster, numbered by the list.
func checkOne(t *testing.T, what string, got map[string]Identity) {
	t.Helper()
	for name, v := range got {
		if v.ClusterID == 0 || v.ClusterID != got["a"].ClusterID {
			t.Fatalf("%s: two clusters: %v", what, got)
		}
		if v.Self != catalog.NodeID(name[0]-'a'+1) || len(v.Members) != 3 || v.Members[v.Self-1].Name != name ||
			v.Members[v.Self-1].GossipAddress != address(name) || v.Members[v.Self-1].PeerAddress != "peer-"+name {
			t.Fatalf("%s: node %s is %+v", what, name, v)
		}
	}
}

// formAll runs nodes, each started anew with a disk after a power cut when its disk has stopped, until all are formed.
func formAll(t *testing.T, what string, w *town, disks map[string]*vfs.Mem, seed uint64) map[string]Identity {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of virtual time
	defer cancel()
	var mu sync.Mutex
	got := make(map[string]Identity)
	var nodes sync.WaitGroup
	for name, disk := range maps.Clone(disks) { // the nodes put others in their places
		nodes.Go(func() {
			for {
				v, err := w.life(ctx, disk, name, three, nil, nil)
				if err != nil && disk.Stopped() {
					disk = disk.Crash(seed)
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("%s: node %s: %v", what, name, err)
				}
				got[name] = v
				disks[name] = disk
				return
			}
		})
	}
	nodes.Wait()
	return got
}

func TestNodesOfOneListFormOneCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown()
		w.loss = rand.New(rand.NewPCG(1, 1))
		disks := map[string]*vfs.Mem{"a": vfs.NewMem(1), "b": vfs.NewMem(2), "c": vfs.NewMem(3)}
		first := formAll(t, "at first", w, disks, 1)
		checkOne(t, "at first", first)
		for name, disk := range disks {
			disks[name] = disk.Crash(9)
		}
		again := formAll(t, "after a restart", newTown(), disks, 1)
		checkOne(t, "after a restart", again)
		if again["a"].ClusterID != first["a"].ClusterID {
			t.Fatal("the restart made another cluster")
		}
	})
}

// Power fails at each write and sync of each node, with the disk losing what was not synced in several ways.
func TestAPowerCutAtAnyStepLeavesOneCluster(t *testing.T) {
	const seeds = 3
	for _, victim := range []string{"a", "b", "c"} {
		cut := 0
		for after := 1; after < 200; after++ {
			stopped := false
			for seed := range uint64(seeds) {
				synctest.Test(t, func(t *testing.T) {
					what := fmt.Sprintf("%s cut after %d, seed %d", victim, after, seed)
					w := newTown()
					w.loss = rand.New(rand.NewPCG(seed, 1))
					disks := map[string]*vfs.Mem{"a": vfs.NewMem(1), "b": vfs.NewMem(2), "c": vfs.NewMem(3)}
					broken := disks[victim]
					broken.CrashAfter(after)
					checkOne(t, what, formAll(t, what, w, disks, seed))
					stopped = stopped || broken.Stopped()
				})
			}
			if !stopped {
				break
			}
			cut++
		}
		if cut < 10 {
			t.Errorf("node %s was cut at %d places only", victim, cut)
		}
	}
}

func TestALateNodeIsWaitedForByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown()
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		disks := map[string]*vfs.Mem{"a": vfs.NewMem(1), "b": vfs.NewMem(2)}
		var nodes sync.WaitGroup
		got := make(map[string]Identity)
		var mu sync.Mutex
		for _, name := range []string{"a", "b", "c"} {
			nodes.Go(func() {
				text := &log
				disk := disks[name]
				if name == "c" {
					time.Sleep(25 * time.Second)
					disk = vfs.NewMem(3)
				}
				if name != "a" {
					text = nil
				}
				v, err := w.life(ctx, disk, name, three, text, nil)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got[name] = v
			})
		}
		nodes.Wait()
		checkOne(t, "late node", got)
		if n := strings.Count(log.String(), "waiting for these nodes of --join: 10.0.0.3:4181"); n < 2 || n > 5 {
			t.Errorf("%d lines name the missing node: %s", n, log.String())
		}
	})
}

// standing is what keeps a cluster from being formed; all nodes run for a minute and none may be formed.
func TestWhatCannotBecomeOneClusterIsNamed(t *testing.T) {
	lists := func(a, b, c string) map[string]string { return map[string]string{"a": a, "b": b, "c": c} }
	for what, c := range map[string]struct {
		lists map[string]string
		node  string // whose log is looked at
		want  string
	}{
		"another order":            {lists(three, "10.0.0.2,10.0.0.1,10.0.0.3", three), "a", "another --join list (the order matters too): b"},
		"the other first":          {lists(three, "10.0.0.2,10.0.0.1,10.0.0.3", three), "b", "another --join list"},
		"another node":             {lists(three, three, "10.0.0.1,10.0.0.2,10.0.0.9"), "a", "another --join list (the order matters too): c"},
		"not in its own":           {lists(three, three, "10.0.0.1,10.0.0.2"), "c", "this node, which gossips from 10.0.0.3:4181, is not in its own"},
		"not there":                {lists("10.0.0.1,10.0.0.9", "10.0.0.1,10.0.0.9", ""), "a", "waiting for these nodes of --join: 10.0.0.9:4181"},
		"two names of one machine": {lists("10.0.0.1,one", "10.0.0.1,one", ""), "b", "two entries of --join mean node a, the second is one:4181"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				logs := make(map[string]*bytes.Buffer)
				var nodes sync.WaitGroup
				for name, list := range c.lists {
					if list == "" {
						continue
					}
					log := &bytes.Buffer{}
					logs[name] = log
					nodes.Go(func() {
						v, err := w.life(ctx, vfs.NewMem(1), name, list, log, func(o *FormOptions) {
							o.Lookup = func(context.Context, string) ([]string, error) { return []string{"10.0.0.1"}, nil }
						})
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("node %s: %+v, %v", name, v, err)
						}
					})
				}
				nodes.Wait()
				if !strings.Contains(logs[c.node].String(), c.want) {
					t.Errorf("node %s does not say %q: %s", c.node, c.want, logs[c.node])
				}
			})
		})
	}
}

func TestADirectoryThatCannotJoinIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := w.life(ctx, vfs.NewMem(1), "a", three, nil, func(o *FormOptions) { o.HoldsMessages = true })
		if err == nil || !strings.Contains(err.Error(), "topics of a node that was alone") {
			t.Errorf("topics of a lone node: %v", err)
		}
		// A promise binds: a disk that gave one takes no other list.
		disk := vfs.NewMem(1)
		r := open(t, disk)
		list, _ := ParseJoinList(three)
		if err := r.promise(testIdentity(), list.Digest()); err != nil {
			t.Fatal(err)
		}
		_, err = w.life(ctx, disk, "a", "10.0.0.1,10.0.0.2", nil, nil)
		if err == nil || !strings.Contains(err.Error(), "another --join list") {
			t.Errorf("promised by another list: %v", err)
		}
		_, err = w.life(ctx, disk, "a", "", nil, nil)
		if err == nil || !strings.Contains(err.Error(), "start with the same --join") {
			t.Errorf("promised, and no list: %v", err)
		}
	})
}

// A node that lost its disk after the forming, or whose directory is another cluster's, is told apart and changes nothing.
func TestAnEmptyOrForeignNodeDoesNotDisturbTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown()
		disks := map[string]*vfs.Mem{"a": vfs.NewMem(1), "b": vfs.NewMem(2), "c": vfs.NewMem(3)}
		first := formAll(t, "at first", w, disks, 1)
		for _, wiped := range []string{"a", "c"} {
			var log bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := w.life(ctx, vfs.NewMem(5), wiped, three, &log, nil)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(log.String(), "A node that lost its data must be replaced") {
				t.Errorf("wiped %s: %v, %s", wiped, err, log.String())
			}
		}
		checkOne(t, "afterwards", formAll(t, "afterwards", w, disks, 1))
		if v := formAll(t, "afterwards", w, disks, 1); v["a"].ClusterID != first["a"].ClusterID {
			t.Error("another cluster")
		}
	})
}

func TestAnOfferIsPromisedOnce(t *testing.T) {
	w := newTown()
	answers := make(map[uint64]messageKind)
	r := open(t, vfs.NewMem(1))
	list, _ := ParseJoinList(three)
	f := NewFormer(r, FormOptions{Name: "b", List: list, Gossip: recorder{w, answers}})
	v := testIdentity()
	v.Self = 2
	for _, id := range []uint64{7, 8, 7} {
		v.ClusterID = id
		offer := message{kind: kindOffer, clusterID: id, list: list.Digest(), identity: v}
		if err := f.handle(t.Context(), received{"a", offer.encode()}); err != nil {
			t.Fatal(err)
		}
	}
	if answers[7] != kindPromise || answers[8] != kindRefuse {
		t.Fatalf("answers %v", answers)
	}
	for _, garbage := range [][]byte{nil, {9}, bytes.Repeat([]byte{1}, 30)} {
		if err := f.handle(t.Context(), received{"a", garbage}); err != nil {
			t.Fatalf("garbage %x: %v", garbage, err)
		}
	}
}

// recorder is a Gossip that keeps which answer was sent about which cluster.
type recorder struct {
	*town
	answers map[uint64]messageKind
}

func (r recorder) Nodes() []Node { return nil }

func (r recorder) Send(_ context.Context, _ string, b []byte) error {
	m, err := decodeMessage(b)
	if err == nil {
		r.answers[m.clusterID] = m.kind
	}
	return err
}

func TestAJoinListIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"A, b:1 ,10.0.0.1":             "a:4181 b:1 10.0.0.1:4181",
		"[::1]:5,fe80::1,[fe80::2]":    "[::1]:5 [fe80::1]:4181 [fe80::2]:4181",
		"a,a":                          "error",
		"a,a:4181":                     "error",
		":4181":                        "error",
		"a:b:c":                        "error",
		strings.Repeat("x,y,", 2):      "error",
		"weir-0.weir:4181,weir-1.weir": "weir-0.weir:4181 weir-1.weir:4181",
	} {
		got, err := ParseJoinList(text)
		if joined := strings.Join(got, " "); (err != nil) != (want == "error") || err == nil && joined != want {
			t.Errorf("%q: %q, %v", text, joined, err)
		}
	}
	a, _ := ParseJoinList("a,b")
	b, _ := ParseJoinList("b,a")
	if a.Digest() == b.Digest() || a.Digest() == 0 || JoinList(nil).Digest() != 0 {
		t.Error("digests do not tell lists apart")
	}
}
