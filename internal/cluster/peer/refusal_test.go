package peer

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/secret"
)

// Each of these is refused with a line that names the cause on both sides, while the other connections of the node go on.
func TestStrangersAreRefusedByName(t *testing.T) {
	key := secret.New()
	for what, c := range map[string]struct {
		stranger func(o *Options) // what is different about the node that dials
		listener func(o *Options)
		want     string // in the lines of both
		refused  string // in that of the listener alone, if not want
	}{
		"another cluster": {stranger: func(o *Options) { o.ClusterID = 43 }, want: "belongs to cluster 000000000000002b"},
		"unknown node":    {stranger: func(o *Options) { o.Self = 9 }, want: "node 9 is not a member of this cluster"},
		"older copy": {stranger: func(o *Options) { o.Life = Life{3, 3} },
			listener: func(o *Options) { o.Lives = map[catalog.NodeID]Life{2: {4, 4}} }, want: "its data directory is an older copy"},
		"same life twice": {stranger: func(o *Options) { o.Life = Life{4, 5} },
			listener: func(o *Options) { o.Lives = map[catalog.NodeID]Life{2: {4, 4}} }, want: "its data directory is an older copy"},
		"older copy, started often": {stranger: func(o *Options) {
			o.Life = Life{9, 9}
			o.Remembers = func(seen Life) bool { return seen == Life{4, 40} } // its own fourth life was another one
		}, listener: func(o *Options) { o.Lives = map[catalog.NodeID]Life{2: {4, 4}} },
			want: "node 1 has seen life 4 of node 2, of which node 2 knows nothing", refused: "did not confirm its hello, which told it of its life 4"},
		"another key": {stranger: func(o *Options) { o.TLS = clusterTLS(t, secret.New()) },
			listener: func(o *Options) { o.TLS = clusterTLS(t, key) }, want: "another --cluster-key"},
		"no key": {stranger: func(*Options) {}, listener: func(o *Options) { o.TLS = clusterTLS(t, key) },
			want: "with --cluster-key and this node without", refused: "does not use TLS"},
		"a key, and none here": {stranger: func(o *Options) { o.TLS = clusterTLS(t, key) }, listener: func(*Options) {},
			want: "was it started without --cluster-key", refused: "but TLS: was it started with --cluster-key"},
	} {
		t.Run(what, func(t *testing.T) {
			o := testOptions(1)
			if c.listener != nil {
				c.listener(&o)
			}
			a := start(t, o)
			a.SetPeers(map[catalog.NodeID]string{2: "127.0.0.1:1"})
			o = testOptions(2)
			c.stranger(&o)
			b := start(t, o)
			b.SetPeers(map[catalog.NodeID]string{1: a.address})
			eventually(t, "the dialler's line", func() bool { return b.log.has(c.want) })
			if c.refused == "" {
				c.refused = c.want
			}
			eventually(t, "the listener's line", func() bool { return a.log.has(c.refused) })
			if b.session(1, Control) != nil {
				t.Error("it was let in")
			}
			if a.lives.highest(2) == b.opts.Life {
				t.Error("its life was recorded")
			}
		})
	}
}

func TestAHelloIsJudged(t *testing.T) {
	a := start(t, testOptions(1))
	a.SetPeers(map[catalog.NodeID]string{2: "127.0.0.1:1"})
	good := func() *hello {
		return &hello{protocol: Protocol, clusterID: 42, from: 2, to: 1, life: Life{1, 1}, lane: Control, version: "9.9"}
	}
	for what, c := range map[string]struct {
		change func(h *hello)
		want   string
	}{
		"good":          {func(*hello) {}, ""},
		"newer":         {func(h *hello) { h.protocol = 2 }, "node 2 (weir 9.9) speaks version 2 of the protocol between nodes, node 1 (weir 1.2.3) version 1"},
		"another":       {func(h *hello) { h.to = 3 }, "node 2 looks for node 3, but this is node 1"},
		"itself":        {func(h *hello) { h.from = 1 }, "another process says that it is node 1"},
		"no such lane":  {func(h *hello) { h.lane = 9 }, "there is no lane 9"},
		"of the future": {func(h *hello) { h.seen = Life{8, 1} }, "node 2 has seen life 8 of node 1, of which node 1 knows nothing"},
		"of another":    {func(h *hello) { h.seen = Life{7, 2} }, "node 2 has seen life 7 of node 1, of which node 1 knows nothing"},
		"no life":       {func(h *hello) { h.life = Life{0, 9} }, "older copy"},
		"other cluster": {func(h *hello) { h.clusterID = 1 }, "belongs to cluster 0000000000000001"},
	} {
		conn, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		h := good()
		c.change(h)
		if _, err := conn.Write(h.encode()); err != nil {
			t.Fatal(err)
		}
		answer, err := readHello(conn)
		conn.Close()
		if err != nil || !answer.answer || answer.from != 1 {
			t.Fatalf("%s: answer %+v, %v", what, answer, err)
		}
		if (c.want == "") != (answer.refusal == "") || len(answer.refusal) < len(c.want) {
			t.Errorf("%s: refusal %q, want %q", what, answer.refusal, c.want)
		}
		eventually(t, what+": a line about it", func() bool { return c.want == "" || a.log.has(c.want) })
	}
}

// Garbage closes the connection it came on, is told of, and disturbs nobody else.
func TestGarbageClosesItsConnectionOnly(t *testing.T) {
	gotC := make(chan []byte, 10)
	o := testOptions(2)
	o.Limits.FrameBytes = 1 << 20
	o.Handler.Received = func(_ catalog.NodeID, _ Lane, frame []byte) { gotC <- frame }
	b := start(t, o)
	a := start(t, testOptions(1))
	connect(t, a, b)
	b.SetPeers(map[catalog.NodeID]string{1: a.address, 3: "127.0.0.1:1"})
	greeting := (&hello{protocol: Protocol, clusterID: 42, from: 3, to: 2, life: Life{1, 1}, lane: Append}).encode()
	greeting = append(greeting, confirmed...)
	huge := encoded(t, header{kind: kindMessage}, []byte("x"))
	huge[4] = 0xff
	for what, c := range map[string]struct {
		sent []byte
		line string
	}{
		"HTTP":              {[]byte("GET / HTTP/1.1\r\nHost: weir\r\n\r\n"), "it began with"},
		"frames of garbage": {append(bytes.Clone(greeting), "garbage garbage garbage garbage"...), "what it sent cannot be read"},
		"huge frame":        {append(bytes.Clone(greeting), huge...), "what it sent cannot be read"},
		"an answer":         {append(bytes.Clone(greeting), encoded(t, header{kind: kindReply}, nil)...), "what it sent cannot be read"},
	} {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(c.sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, conn) // until it is closed
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection stays open", what)
		}
		conn.Close()
		eventually(t, what+": a line about it", func() bool { return b.log.has(c.line) })
	}
	if !a.Send(2, Append, []byte("still here")) || string(receive(t, "a message", gotC)) != "still here" {
		t.Error("the good connection was disturbed")
	}
}

func TestConnectionsThatSayNothingAreBounded(t *testing.T) {
	o := testOptions(1)
	o.Limits.Unidentified = 4
	a := start(t, o)
	var conns []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	eventually(t, "a line about them", func() bool { return a.log.has("have not said who they are") })
	a.mu.RLock()
	n := len(a.mu.conns)
	a.mu.RUnlock()
	if n > 4 {
		t.Errorf("%d of %d silent connections are kept", n, len(conns))
	}
}

func TestLivesOnlyRise(t *testing.T) {
	var kept []Life
	l := newLives(map[catalog.NodeID]Life{2: {5, 50}}, func(_ catalog.NodeID, life Life) error {
		kept = append(kept, life)
		return nil
	})
	for _, c := range []struct {
		life Life
		ok   bool
	}{{Life{5, 50}, true}, {Life{5, 51}, false}, {Life{4, 50}, false}, {Life{7, 70}, true}, {Life{7, 70}, true}, {Life{6, 60}, false}, {Life{7, 71}, false}} {
		if err := l.admit(2, c.life); (err == nil) != c.ok {
			t.Errorf("life %v: %v", c.life, err)
		}
	}
	full := newLives(nil, func(catalog.NodeID, Life) error { return errors.New("disk full") })
	for range 2 {
		if err := full.admit(2, Life{1, 1}); err == nil {
			t.Error("a life that is not recorded was admitted")
		}
	}
	if len(kept) != 1 || kept[0] != (Life{7, 70}) {
		t.Errorf("recorded %v", kept)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"Self":             func(o *Options) { o.Self = 0 },
		"ClusterID":        func(o *Options) { o.ClusterID = 0 },
		"no certificate":   func(o *Options) { o.TLS = &tls.Config{} },
		"are not verified": func(o *Options) { o.TLS = clusterTLS(t, secret.New()); o.TLS.InsecureSkipVerify = true },
	} {
		o := testOptions(1)
		change(&o)
		tr, err := New(o)
		if err == nil {
			tr.Close()
			t.Errorf("%s: accepted", want)
		}
	}
}
