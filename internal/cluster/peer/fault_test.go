package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// proxy stands between a dialler and a listener and can stop passing anything on, without closing.
type proxy struct {
	ln     net.Listener
	mu     sync.Mutex
	wake   *sync.Cond
	halted bool
	closed bool
	conns  []net.Conn
	tasks  sync.WaitGroup
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln}
	p.wake = sync.NewCond(&p.mu)
	p.tasks.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			p.tasks.Go(func() { p.pass(in, out) })
			p.tasks.Go(func() { p.pass(out, in) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		p.closed = true
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wake.Broadcast()
		p.tasks.Wait()
	})
	return p
}

func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.halted && !p.closed {
			p.wake.Wait()
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) halt(on bool) {
	p.mu.Lock()
	p.halted = on
	p.mu.Unlock()
	p.wake.Broadcast()
}

// A peer of which nothing comes any more, while its connections stand, is down after the heartbeat timeout.
func TestASilentPeerIsDownAfterTheTimeout(t *testing.T) {
	o := testOptions(1)
	o.Limits = Limits{Heartbeat: 20 * time.Millisecond, HeartbeatTimeout: 300 * time.Millisecond, DialTimeout: 200 * time.Millisecond}
	a := start(t, o)
	o = testOptions(2)
	o.Handler.Called = func(Request) {} // never answers
	b := start(t, o)
	p := startProxy(t, b.address)
	a.SetPeers(map[catalog.NodeID]string{2: p.ln.Addr().String()})
	b.SetPeers(map[catalog.NodeID]string{1: a.address})
	receive(t, "up", a.upC)
	eventually(t, "append lane", func() bool { return a.session(2, Append) != nil })
	outcomeC := make(chan error, 1)
	a.Go(2, Append, 1, nil, func(_ []byte, err error) { outcomeC <- err })
	time.Sleep(time.Second) // an idle connection stays
	select {
	case <-a.downC:
		t.Fatal("down while it answered")
	default:
	}
	begun := time.Now()
	p.halt(true)
	receive(t, "down", a.downC)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("down after %v", took)
	}
	if err := receive(t, "the end of the call", outcomeC); !errors.Is(err, ErrUnknown) {
		t.Errorf("the call ended with %v", err)
	}
	p.halt(false)
	receive(t, "up again", a.upC)
}

// What a peer does not take is bounded, and refused beyond that.
func TestASlowReaderBoundsWhatWaits(t *testing.T) {
	releaseC := make(chan struct{})
	release := sync.OnceFunc(func() { close(releaseC) })
	var received sync.WaitGroup
	o := testOptions(2)
	o.Handler.Received = func(catalog.NodeID, Lane, []byte) {
		<-releaseC
		received.Done()
	}
	b := start(t, o)
	t.Cleanup(release) // before b closes
	o = testOptions(1)
	o.Limits.AppendBytes = 1 << 20
	a := start(t, o)
	connect(t, a, b)
	frame := make([]byte, 10_000)
	accepted := 0
	for refusals := 0; refusals < 50; { // the sockets' buffers take some megabytes first
		received.Add(1)
		if a.Send(2, Append, nil, frame) {
			accepted++
			continue
		}
		received.Done()
		refusals++
		time.Sleep(time.Millisecond)
	}
	s := a.session(2, Append)
	if waiting := s.out.bytes.Load(); waiting > 1<<20 {
		t.Errorf("%d bytes wait", waiting)
	}
	if !a.Send(2, Control, []byte("x")) {
		t.Error("the control lane is blocked too")
	}
	received.Add(1)
	release()
	received.Wait() // every accepted message comes
	t.Logf("%d messages were accepted", accepted)
}

// While one node's connections come again and again, there is one of each lane, and what it sends stays in order.
func TestAReconnectStormLeavesOneConnection(t *testing.T) {
	var mu sync.Mutex
	inside := make(map[Lane]int)
	o := testOptions(2)
	o.Handler.Received = func(_ catalog.NodeID, lane Lane, _ []byte) {
		mu.Lock()
		if inside[lane]++; inside[lane] > 1 {
			t.Error("two connections of a lane are read at a time")
		}
		mu.Unlock()
		time.Sleep(100 * time.Microsecond)
		mu.Lock()
		inside[lane]--
		mu.Unlock()
	}
	b := start(t, o)
	b.SetPeers(map[catalog.NodeID]string{1: "127.0.0.1:1"})
	var storm sync.WaitGroup
	for i := range 8 {
		storm.Go(func() {
			for range 20 {
				conn, err := net.Dial("tcp", b.address)
				if err != nil {
					t.Error(err)
					return
				}
				h := &hello{protocol: Protocol, clusterID: 42, from: 1, to: 2, life: Life{7, 1}, lane: Lane(i % 2)}
				message := encoded(t, header{kind: kindMessage}, []byte("x"))
				_, err = conn.Write(append(append(h.encode(), confirmed...), bytes.Repeat(message, 20)...))
				if err == nil {
					_, err = readHello(conn)
				}
				if err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "EOF") {
					t.Error(err)
				}
				conn.Close()
			}
		})
	}
	storm.Wait()
	eventually(t, "all are gone", func() bool {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return len(b.mu.inbound) == 0 && len(b.mu.conns) == 0
	})
}

func TestAStreamComesWholeOrEndsWithAnError(t *testing.T) {
	content := make([]byte, 3*chunkBytes+17)
	for i := range content {
		content[i] = byte(i * 7)
	}
	o := testOptions(2)
	o.Limits.Streams = 1
	heldC := make(chan struct{})
	o.Handler.Streamed = func(from catalog.NodeID, method uint8, request []byte, w io.Writer) error {
		switch method {
		case 1:
			_, err := io.Copy(w, bytes.NewReader(content))
			return err
		case 2:
			if _, err := w.Write(content[:5]); err != nil {
				return err
			}
			return fmt.Errorf("about %s: %w", request, &Error{Code: 4, Text: "gone"})
		case 3:
			close(heldC)
			for {
				if _, err := w.Write(content); err != nil {
					return err
				}
			}
		}
		panic("method")
	}
	withAndWithoutTLS(t, func(t *testing.T, config func() *tls.Config) {
		o := o
		heldC = make(chan struct{})
		o.TLS = config()
		b := start(t, o)
		o = testOptions(1)
		o.TLS = config()
		a := start(t, o)
		connect(t, a, b)
		read := func(method uint8) ([]byte, error) {
			r, err := a.Stream(t.Context(), 2, method, []byte("request"))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			return io.ReadAll(r)
		}
		if got, err := read(1); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		var remote *Error
		if got, err := read(2); !errors.As(err, &remote) || remote.Code != 4 || remote.Text != "about request: gone" || len(got) != 5 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		held, err := a.Stream(ctx, 2, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		receive(t, "the stream begins", heldC)
		if _, err := read(1); !errors.As(err, &remote) || remote.Code != CodeBusy {
			t.Errorf("a second stream: %v", err)
		}
		cancel()
		if _, err := io.Copy(io.Discard, held); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		if _, err := a.Stream(t.Context(), 9, 1, nil); !errors.Is(err, ErrNotSent) {
			t.Errorf("from an unknown node: %v", err)
		}
		eventually(t, "the slot is free again", func() bool { _, err := read(1); return err == nil })
	})
}

func TestTheRateOfStreamsIsShared(t *testing.T) {
	b := newBucket(1000)
	now := time.Now()
	var waits []time.Duration
	for range 3 {
		waits = append(waits, b.reserve(now, 100)) // a tenth of a second each
	}
	for i, want := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond} {
		if waits[i] != want {
			t.Errorf("take %d waits %v, want %v", i, waits[i], want)
		}
	}
	if wait := b.reserve(now.Add(time.Hour), 200); wait != 100*time.Millisecond {
		t.Errorf("after a long pause %v", wait)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newBucket(1).take(ctx, 100); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := newBucket(-1).take(t.Context(), 1<<40); err != nil {
		t.Error(err)
	}
}

// More calls than the limit are refused here; more than the other side allows come back as busy.
func TestCallsAreBounded(t *testing.T) {
	o := testOptions(2)
	o.Limits.Calls = 10
	o.Handler.Called = func(Request) {} // never answers
	b := start(t, o)
	o = testOptions(1)
	o.Limits.Calls = 20
	a := start(t, o)
	connect(t, a, b)
	outcomeC := make(chan error, 40)
	for range 31 { // 10 wait for ever, 10 are busy and make room for others; or fail here
		a.Go(2, Append, 1, nil, func(_ []byte, err error) { outcomeC <- err })
	}
	for range 21 {
		err := receive(t, "an outcome", outcomeC)
		var remote *Error
		if !errors.Is(err, ErrNotSent) && (!errors.As(err, &remote) || remote.Code != CodeBusy) {
			t.Errorf("outcome %v", err)
		}
	}
}
