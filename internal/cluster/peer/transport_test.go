package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/cluster/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

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

// node is a Transport that listens.
type node struct {
	*Transport
	address string
	log     *logText
	upC     chan catalog.NodeID
	downC   chan catalog.NodeID
}

func testOptions(id catalog.NodeID) Options {
	return Options{Self: id, ClusterID: 42, Life: Life{Number: 7, Nonce: uint64(id)}, Version: "1.2.3"}
}

// start starts a node; it is closed with the test.
func start(t testing.TB, o Options) *node {
	t.Helper()
	return startAt(t, o, "127.0.0.1:0")
}

func startAt(t testing.TB, o Options, address string) *node {
	t.Helper()
	n := &node{log: &logText{}, upC: make(chan catalog.NodeID, 100), downC: make(chan catalog.NodeID, 100)}
	o.Logger = slog.New(slog.NewTextHandler(n.log, nil))
	o.Handler.PeerUp = func(id catalog.NodeID) { n.upC <- id }
	o.Handler.PeerDown = func(id catalog.NodeID) { n.downC <- id }
	var err error
	if n.Transport, err = New(o); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	n.address = ln.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := n.Serve(ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return n
}

// connect makes nodes each other's peers and waits until both lanes of each stand.
func connect(t testing.TB, nodes ...*node) {
	t.Helper()
	addresses := make(map[catalog.NodeID]string)
	for _, n := range nodes {
		addresses[n.opts.Self] = n.address
	}
	for _, n := range nodes {
		n.SetPeers(addresses)
	}
	for _, n := range nodes {
		for id := range addresses {
			for lane := Control; id != n.opts.Self && lane <= Append; lane++ {
				eventually(t, fmt.Sprint("connection to ", id, lane), func() bool { return n.session(id, lane) != nil })
			}
		}
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func receive[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
	return v
}

func clusterTLS(t testing.TB, k secret.Key) *tls.Config {
	t.Helper()
	c, err := k.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withAndWithoutTLS runs a test twice; the function makes the TLS settings of all nodes.
func withAndWithoutTLS(t *testing.T, run func(t *testing.T, config func() *tls.Config)) {
	t.Run("plain", func(t *testing.T) { run(t, func() *tls.Config { return nil }) })
	k := secret.New()
	t.Run("tls", func(t *testing.T) { run(t, func() *tls.Config { return clusterTLS(t, k) }) })
}

func TestMessagesArriveWholeAndInOrder(t *testing.T) {
	withAndWithoutTLS(t, func(t *testing.T, config func() *tls.Config) {
		type message struct {
			from  catalog.NodeID
			lane  Lane
			frame []byte
		}
		gotC := make(chan message, 1000)
		o := testOptions(2)
		o.TLS = config()
		o.Handler.Received = func(from catalog.NodeID, lane Lane, frame []byte) { gotC <- message{from, lane, frame} }
		b := start(t, o)
		o = testOptions(1)
		o.TLS = config()
		a := start(t, o)
		connect(t, a, b)
		var want [][]byte
		head := make([]byte, 0, 100)
		for i := range 300 {
			head = append(head[:0], fmt.Sprint("head ", i)...) // used again: it must have been copied
			parts := [][]byte{bytes.Repeat([]byte{byte(i)}, i), bytes.Repeat([]byte{byte(i + 1)}, 40*i), nil,
				bytes.Repeat([]byte{byte(i + 2)}, (i%3)*writeBytes/50)}
			if i == 100 {
				parts = append(parts, bytes.Repeat([]byte{9}, 3*writeBytes+1))
			}
			if !a.Send(2, Append, head, parts...) {
				t.Fatalf("message %d was refused", i)
			}
			want = append(want, append(bytes.Clone(head), bytes.Join(parts, nil)...))
		}
		for i := range want {
			got := receive(t, "a message", gotC)
			if got.from != 1 || got.lane != Append || !bytes.Equal(got.frame, want[i]) {
				t.Fatalf("message %d: %d bytes from %d on %v, want %d", i, len(got.frame), got.from, got.lane, len(want[i]))
			}
		}
		if a.Send(3, Control, nil) || a.Send(1, Control, nil) || a.Send(2, bulk, nil) {
			t.Error("a message to nobody was taken")
		}
	})
}

func TestCallsAreAnsweredInAnyOrder(t *testing.T) {
	withAndWithoutTLS(t, func(t *testing.T, config func() *tls.Config) {
		requestC := make(chan Request, 1000)
		o := testOptions(2)
		o.TLS = config()
		o.Handler.Called = func(r Request) { requestC <- r }
		b := start(t, o)
		o = testOptions(1)
		o.TLS = config()
		a := start(t, o)
		connect(t, a, b)
		const calls = 500
		outcomeC := make(chan string, calls)
		for i := range calls {
			a.Go(2, Append, 5, fmt.Append(nil, i), func(reply []byte, err error) {
				var remote *Error
				if errors.As(err, &remote) {
					reply = fmt.Append(nil, "error ", remote.Code, " ", remote.Text)
				}
				outcomeC <- fmt.Sprint(i, ": ", string(reply))
			})
		}
		requests := make([]Request, calls)
		for i := range requests {
			requests[i] = receive(t, "a call", requestC)
			if r := requests[i]; string(r.Body) != fmt.Sprint(i) || r.From != 1 || r.Method != 5 || r.Life.Number != 7 {
				t.Fatalf("call %d is %+v", i, r)
			}
		}
		for i := calls - 1; i >= 0; i-- {
			if i%2 == 0 {
				requests[i].Reply(fmt.Append(nil, "reply ", i))
			} else {
				requests[i].Fail(fmt.Errorf("wrapped: %w", &Error{Code: uint16(i), Text: "odd"}))
			}
		}
		for i := calls - 1; i >= 0; i-- {
			want := fmt.Sprint(i, ": reply ", i)
			if i%2 == 1 {
				want = fmt.Sprint(i, ": error ", i, " wrapped: odd")
			}
			if got := receive(t, "an outcome", outcomeC); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

func TestACallSaysWhetherItWasSent(t *testing.T) {
	requestC := make(chan Request, 10)
	o := testOptions(2)
	o.Handler.Called = func(r Request) { requestC <- r }
	b := start(t, o)
	a := start(t, testOptions(1))
	if _, err := a.Call(t.Context(), 2, Control, 1, nil); !errors.Is(err, ErrNotSent) {
		t.Fatalf("to an unknown node: %v", err)
	}
	connect(t, a, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Call(ctx, 2, Control, 1, nil); !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Fatalf("given up: %v", err)
	}
	receive(t, "the call given up", requestC).Reply(nil) // is ignored
	outcomeC := make(chan error, 1)
	a.Go(2, Control, 1, nil, func(_ []byte, err error) { outcomeC <- err })
	receive(t, "a call", requestC)
	b.Close()
	if err := receive(t, "the end of the call", outcomeC); !errors.Is(err, ErrUnknown) {
		t.Fatalf("connection lost: %v", err)
	}
	eventually(t, "the loss is seen", func() bool { return a.session(2, Control) == nil })
	if _, err := a.Call(t.Context(), 2, Control, 1, nil); !errors.Is(err, ErrNotSent) {
		t.Fatalf("without connection: %v", err)
	}
}

// Of calls that end with their connection, those that no write has begun on are told from the others.
func TestACallThatOnlyWaitedWasNotSent(t *testing.T) {
	tr, err := New(testOptions(1))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	s := newSession(newLink(tr, 2, Append, ""), nil)
	var got [3]error
	for i := range got {
		if _, err := s.call(1, nil, func(_ []byte, err error) { got[i] = err }); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			s.out.take() // as the writer does
		}
	}
	s.end(io.EOF)
	for i, want := range []error{ErrUnknown, ErrUnknown, ErrNotSent} {
		if !errors.Is(got[i], want) || !errors.Is(got[i], io.EOF) {
			t.Errorf("call %d: %v, want %v", i, got[i], want)
		}
	}
	if _, err := s.call(1, nil, nil); !errors.Is(err, ErrNotSent) {
		t.Errorf("after the end: %v", err)
	}
}

func TestADeadProcessIsDownAtOnce(t *testing.T) {
	o := testOptions(1)
	o.Limits = Limits{Heartbeat: time.Second, HeartbeatTimeout: time.Hour}
	a := start(t, o)
	b := start(t, testOptions(2))
	connect(t, a, b)
	receive(t, "up", a.upC)
	begun := time.Now()
	b.Close()
	if id := receive(t, "down", a.downC); id != 2 {
		t.Fatalf("node %d is down", id)
	}
	t.Logf("down after %v", time.Since(begun))
	if s := a.Peers(); len(s) != 1 || s[0].Up || s[0].Problem == "" || s[0].Life != 7 {
		t.Errorf("status %+v", s)
	}
	o = testOptions(2)
	o.Life.Number++
	c := startAt(t, o, b.address)
	c.SetPeers(map[catalog.NodeID]string{1: a.address})
	receive(t, "up again", a.upC)
	eventually(t, "status", func() bool { s := a.Peers(); return s[0].Up && s[0].Problem == "" && s[0].Life == 8 && s[0].RTT > 0 })
	a.SetPeers(nil)
	receive(t, "down because it was left out", a.downC)
	if a.Send(2, Control, nil) {
		t.Error("a message to a node left out was taken")
	}
}
