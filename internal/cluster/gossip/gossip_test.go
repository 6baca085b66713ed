package gossip

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

// memberlist does not wait for its last probe and its last exchange, which end by themselves within seconds.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).pushPull"))
}

const patience = 10 * time.Second // that of the promise about a hard kill

// logText gathers what is logged.
type logText struct {
	sync.Mutex
	bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(p)
}

func (l *logText) has(text string) bool {
	l.Lock()
	defer l.Unlock()
	return strings.Contains(l.String(), text)
}

// node is a Gossip of a test.
type node struct {
	*Gossip
	log      *logText
	receiveC chan string
}

// start starts a node; it is closed with the test.
func start(t *testing.T, name string, key []byte, meta Meta, join ...string) *node {
	t.Helper()
	n := &node{log: &logText{}, receiveC: make(chan string, 10)}
	var err error
	n.Gossip, err = Start(Options{Name: name, Bind: "127.0.0.1:0", Key: key, Meta: meta, Join: join,
		Logger:   slog.New(slog.NewTextHandler(n.log, nil)),
		Received: func(from string, message []byte) { n.receiveC <- from + ": " + string(message) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// kill ends a node as a crash does.
func (n *node) kill(t *testing.T) {
	t.Helper()
	if err := n.list.Shutdown(); err != nil {
		t.Fatal(err)
	}
	n.cancel()
	n.tasks.Wait()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// sees tells in which state a node believes another to be, "" if it does not know it.
func (n *node) sees(name string) string {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.State.String()
		}
	}
	return ""
}

func (n *node) meta(name string) Meta {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.Meta
		}
	}
	return Meta{}
}

func TestNodesFindEachOtherAndAgreeOnADeath(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	a := start(t, "a", key, Meta{PeerAddress: "a:4180"})
	b := start(t, "b", key, Meta{PeerAddress: "b:4180"}, "127.0.0.1:1", a.Address())
	dying, err := Start(Options{Name: "c", Bind: "127.0.0.1:0", Key: key, Join: []string{b.Address()}})
	if err != nil {
		t.Fatal(err)
	}
	c := &node{Gossip: dying}
	for _, n := range []*node{a, b, c} {
		for _, name := range []string{"a", "b", "c"} {
			eventually(t, "all see "+name, func() bool { return n.sees(name) == "alive" })
		}
	}
	meta := Meta{ClusterID: 5, Node: 1, List: 6, Life: 7, Withdrawn: true, PeerAddress: "a:4180", TCPAddress: "a:4150", HTTPAddress: "a:4151",
		Version: "1.2.3"}
	if err := a.SetMeta(meta); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new meta is seen", func() bool { return b.meta("a") == meta && c.meta("a") == meta })
	if err := b.Send(t.Context(), "a", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := <-a.receiveC; got != "b: hello" {
		t.Errorf("got %q", got)
	}
	if err := b.Send(t.Context(), "x", nil); err == nil {
		t.Error("sent to nobody")
	}
	eventually(t, "the address that does not answer is named", func() bool {
		return b.log.has("does not answer") && b.log.has("127.0.0.1:1")
	})
	begun := time.Now()
	c.kill(t)
	for _, n := range []*node{a, b} {
		eventually(t, "the death is seen", func() bool { return n.sees("c") == "dead" })
	}
	t.Logf("agreed on the death after %v", time.Since(begun).Round(time.Millisecond))
	if err := b.Send(t.Context(), "c", nil); err == nil {
		t.Error("sent to the dead")
	}
}

func TestWhoLeavesIsNotSuspected(t *testing.T) {
	a := start(t, "a", nil, Meta{})
	b, err := Start(Options{Name: "b", Bind: "127.0.0.1:0", Join: []string{a.Address()}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "b is seen", func() bool { return a.sees("b") == "alive" })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b has left", func() bool { return a.sees("b") == "left" })
	again := start(t, "b", nil, Meta{}, a.Address()) // of another port, at once
	eventually(t, "b is back", func() bool { return a.sees("b") == "alive" && again.sees("a") == "alive" })
}

func TestStrangersAreNotHeardAndNamed(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	a := start(t, "a", key, Meta{ClusterID: 5, Node: 1})
	other := start(t, "other", bytes.Repeat([]byte{8}, 32), Meta{}, a.Address())
	none := start(t, "none", nil, Meta{}, a.Address())
	foreign := start(t, "foreign", key, Meta{ClusterID: 6, Node: 2}, a.Address())
	eventually(t, "another key is named", func() bool { return a.log.has("another --cluster-key") })
	eventually(t, "another cluster is named", func() bool {
		return a.log.has("it belongs to cluster 0000000000000006, this node to 0000000000000005")
	})
	for _, n := range []*node{other, none} {
		eventually(t, "the stranger says so too", func() bool { return n.log.has("does not answer") || n.log.has("another --cluster-key") })
	}
	for _, name := range []string{"other", "none", "foreign"} {
		if a.sees(name) != "" {
			t.Errorf("%s was let in", name)
		}
	}
	if foreign.sees("a") != "" {
		t.Error("the foreign node took this one in")
	}
}

func TestOfWhatCannotBeReadOnlyALineIsMade(t *testing.T) {
	a := start(t, "a", nil, Meta{})
	d := delegate{a.Gossip}
	if err := d.NotifyAlive(&memberlist.Node{Name: "x", Meta: []byte("garbage")}); err == nil || !a.log.has("node=x") {
		t.Errorf("a garbled meta: %v", err)
	}
	d.NotifyMsg(nil)
	d.NotifyMsg([]byte{200, 1})
	if !a.log.has("cannot be read") {
		t.Error("a garbled message is not told of")
	}
	d.NotifyConflict(&memberlist.Node{Name: "x"}, &memberlist.Node{Name: "x"})
	if !a.log.has("give each its own") {
		t.Error("a conflict is not told of")
	}
}

func TestMembersAreBounded(t *testing.T) {
	a := start(t, "a", nil, Meta{})
	d := delegate{a.Gossip}
	m := Meta{}
	for i := range 2 * maxMembers {
		n := &memberlist.Node{Name: fmt.Sprint("n", i), Addr: []byte{127, 0, 0, 1}, Meta: m.encode()}
		d.NotifyJoin(n)
		d.NotifyLeave(n)
	}
	d.NotifyJoin(&memberlist.Node{Name: "last", Addr: []byte{127, 0, 0, 1}, Meta: m.encode()})
	if n := len(a.Members()); n > maxMembers || a.sees("last") != "alive" || a.sees("a") != "alive" {
		t.Fatalf("%d members, last %q, itself %q", n, a.sees("last"), a.sees("a"))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for what, o := range map[string]Options{
		"Name":              {Bind: "127.0.0.1:0"},
		"Key":               {Name: "a", Bind: "127.0.0.1:0", Key: make([]byte, 5)},
		"Bind":              {Name: "a", Bind: "127.0.0.1"},
		"Meta":              {Name: "a", Bind: "127.0.0.1:0", Meta: Meta{PeerAddress: strings.Repeat("x", 300)}},
		"Meta: addresses":   {Name: "a", Bind: "127.0.0.1:0", Meta: Meta{PeerAddress: strings.Repeat("x", 250), TCPAddress: strings.Repeat("x", 250)}},
		"listen for gossip": {Name: "a", Bind: "127.0.0.1:99999"},
	} {
		g, err := Start(o)
		if err == nil {
			g.Close()
		}
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzMeta(f *testing.F) {
	m := Meta{ClusterID: 5, Node: 1, List: 6, Life: 7, Withdrawn: true, PeerAddress: "a:4180", Version: "1.2.3"}
	f.Add(m.encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded.Memory(t, len(b), func() { decodeMeta(b) })
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		if again, err := decodeMeta(m.encode()); err != nil || again != m {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// TestAnAddressOf255BytesIsRead: its length, 255, and the byte that holds it do not fit into a byte together.
func TestAnAddressOf255BytesIsRead(t *testing.T) {
	m := Meta{ClusterID: 1, Node: 2, PeerAddress: strings.Repeat("a", 255), Version: "1"}
	got, err := decodeMeta(m.encode())
	if err != nil || got != m {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeMeta(append(m.encode()[:metaFixed], 255)); err == nil {
		t.Error("an announcement that ends within an address is taken")
	}
}

// TestAMessageFromANameOf255BytesIsRead: the same in the envelope of messages.
func TestAMessageFromANameOf255BytesIsRead(t *testing.T) {
	var from string
	var body []byte
	d := delegate{&Gossip{opts: Options{Received: func(name string, b []byte) { from, body = name, b }}}}
	d.NotifyMsg(slices.Concat([]byte{255}, bytes.Repeat([]byte("n"), 255), []byte("hello")))
	if len(from) != 255 || string(body) != "hello" {
		t.Errorf("%q says %q", from, body)
	}
}
