package nsqtcp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// heap returns the bytes that are really in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// roundTrip publishes and waits for the OK.
func roundTrip(t testing.TB, c *client) time.Duration {
	t.Helper()
	start := time.Now()
	c.send(pub("quick", "x"))
	c.expect("OK")
	return time.Since(start)
}

// Consumers that never read hold their window in flight and a bounded buffer, and nobody else notices.
func TestConsumersThatNeverReadAreHarmless(t *testing.T) {
	b := newFakeBackend()
	b.body = bytes.Repeat([]byte("x"), 20_000)
	server, addr := startServer(t, b, Options{})
	quick := dial(t, addr)
	roundTrip(t, quick)
	before := heap()
	const consumers = 20
	for range consumers {
		c := dial(t, addr)
		c.send(identify(`{"heartbeat_interval":1000}`))
		c.expect("OK")
		c.send("SUB t c\n")
		c.expect("OK")
		c.send("RDY 2500\n") // 50 MB each
	}
	time.Sleep(300 * time.Millisecond)
	var worst time.Duration
	for range 200 {
		worst = max(worst, roundTrip(t, quick))
	}
	if worst > time.Second {
		t.Errorf("another client waited %v", worst)
	}
	if grown := (heap() - before) / consumers; grown > 1<<20 {
		t.Errorf("%d KiB for each consumer", grown>>10)
	} else {
		t.Logf("%d KiB for each consumer, slowest answer to another client %v", grown>>10, worst)
	}
	// They do not answer heartbeats either: soon they are gone and their messages given back.
	eventually(t, "their end", func() bool { return server.Connections() == 1 })
	for _, s := range b.subs {
		if closed, misuse := s.isClosed(); !closed || misuse != "" {
			t.Fatalf("subscription closed %v, %s", closed, misuse)
		}
	}
}

// A consumer whose socket is full holds what it was given, and nothing else of its channel: what is published meanwhile goes to
// the others at once, and they get the rest when it is gone.
func TestStuckConsumerDoesNotHoldUpItsChannel(t *testing.T) {
	t.Parallel()
	_, addr, b := startBroker(t, Options{})
	stuck := dial(t, addr)
	stuck.send("SUB t c\n", "RDY 2500\n")
	body := strings.Repeat("x", 20_000)
	p := dial(t, addr)
	const backlog = 1500 // 30 MB, more than sockets hold
	for range backlog / 30 {
		p.send(strings.Repeat(pub("t", body), 30))
		for range 30 {
			p.expect("OK")
		}
	}
	inFlight := func() int64 { return b.Stats("t", "c", false)[0].Channels[0].InFlight }
	eventually(t, "the full socket", func() bool {
		before := inFlight()
		time.Sleep(50 * time.Millisecond)
		return before > 0 && inFlight() == before
	})
	held := inFlight()
	if held >= backlog {
		t.Fatalf("all %d messages fit into the socket: nothing is tested", held)
	}
	c := dial(t, addr)
	c.send("SUB t c\nRDY 2500\n")
	c.expect("OK")
	for range backlog - held {
		c.send("FIN " + c.expectMessage().id + "\n")
	}
	for i := range 50 {
		start := time.Now()
		p.send(pub("t", fmt.Sprint(i)))
		p.expect("OK")
		m := c.expectMessage()
		if d := time.Since(start); m.body != fmt.Sprint(i) || d > time.Second {
			t.Fatalf("message %d: got %.10q after %v", i, m.body, d)
		}
		c.send("FIN " + m.id + "\n")
	}
	stuck.conn.Close() // a heartbeat that it does not take would end it, too
	for range held {
		if m := c.expectMessage(); m.attempts != 2 {
			t.Fatalf("attempt %d", m.attempts)
		} else {
			c.send("FIN " + m.id + "\n")
		}
	}
	eventually(t, "an empty channel", func() bool { s := b.Stats("t", "c", false)[0].Channels[0]; return s.Depth == 0 && s.InFlight == 0 })
}

// A publisher that never reads its answers is stopped by the bound of unanswered commands and its socket.
func TestPublisherThatNeverReadsIsHarmless(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	quick, c := dial(t, addr), dial(t, addr)
	c.send(identify(`{"heartbeat_interval":1000}`))
	c.expect("OK")
	before := heap()
	ended := make(chan int64)
	go func() {
		var sent int64
		for chunk := []byte(strings.Repeat(pub("t", "x"), 1000)); ; {
			c.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
			n, err := c.conn.Write(chunk)
			sent += int64(n)
			if err != nil {
				ended <- sent
				return
			}
			b.mu.Lock()
			b.published = nil // the test itself must not grow
			b.mu.Unlock()
		}
	}()
	time.Sleep(500 * time.Millisecond)
	if d := roundTrip(t, quick); d > time.Second {
		t.Errorf("another client waited %v", d)
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("grown by %d KiB", grown>>10)
	}
	t.Logf("closed after %d KiB", <-ended>>10)
}

// The answers that a full socket refused go out later, whole and in order.
func TestAnswersSurviveAFullSocket(t *testing.T) {
	b := nullBackend{}
	_, addr := startServer(t, b, Options{})
	c := dialSilent(t, addr)
	c.conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	const bursts, perBurst = 700, 1000
	var sent atomic.Int64
	one := pub("t", strings.Repeat("x", 100))
	go func() {
		burst := []byte(strings.Repeat(one, perBurst))
		c.conn.Write([]byte("  V2"))
		for range bursts {
			n, _ := c.conn.Write(burst)
			sent.Add(int64(n))
		}
	}()
	stuck := int64(-1)
	eventually(t, "a full socket", func() bool {
		time.Sleep(50 * time.Millisecond)
		before := stuck
		stuck = sent.Load()
		return before == stuck
	})
	if all := int64(bursts * perBurst * len(one)); stuck >= all {
		t.Fatal("the socket never was full: nothing is tested")
	}
	in := bufio.NewReaderSize(c.conn, 64<<10)
	c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	want, got := []byte("\x00\x00\x00\x06\x00\x00\x00\x00OK"), make([]byte, 10)
	for i := range bursts * perBurst {
		if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("answer %d is %q, %v", i, got, err)
		}
	}
}

// Announcing lengths costs nothing; only bytes that really come do.
func TestAnnouncedBodiesCostNothing(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	before := heap()
	const n = 200
	for i := range n {
		c := dial(t, addr)
		if i%2 == 0 {
			c.send("PUB t\n", length(1<<20), "a few bytes")
		} else {
			c.send("MPUB t\n", length(5<<20), length(1_000_000), length(1<<20), "a few bytes")
		}
	}
	time.Sleep(100 * time.Millisecond)
	if grown := (heap() - before) / n; grown > 24<<10 {
		t.Errorf("%d bytes for each connection", grown)
	} else {
		t.Logf("%d bytes for each connection", grown)
	}
}

// Bodies that never end are bounded together, and give back what they held.
func TestLargeBodiesAreBoundedTogether(t *testing.T) {
	const size = 1 << 20
	server, addr := startServer(t, nullBackend{}, Options{MaxMsgSize: size, MaxBodySize: size, InputBytes: 1})
	body := strings.Repeat("x", size)
	held := make([]*client, 4) // as many as the limit always allows
	for i := range held {
		held[i] = dial(t, addr)
		held[i].send("PUB t\n", length(size), body[1:])
	}
	eventually(t, "the bodies are held", func() bool { return server.inputs.used.Load() > 3*size })
	late := dial(t, addr)
	late.send("PUB t\n", length(size), body)
	late.expectError("E_PUB_FAILED PUB failed too many large bodies are on their way, try again")
	small := dial(t, addr)
	small.send(pub("t", "small"))
	small.expect("OK")

	for _, c := range held {
		c.send("x")
		c.expect("OK")
		c.send(pub("t", "small"))
		c.expect("OK")
	}
	eventually(t, "nothing is held", func() bool { return server.inputs.used.Load() == 0 })
	for _, c := range held {
		c.send("PUB t\n", length(size), body[1:])
	}
	eventually(t, "the bodies are held", func() bool { return server.inputs.used.Load() > 3*size })
	for _, c := range held {
		c.conn.Close()
	}
	eventually(t, "nothing is held", func() bool { return server.inputs.used.Load() == 0 })
}

func TestGarbageNeverHurts(t *testing.T) {
	b := newFakeBackend()
	server, addr := startServer(t, b, Options{})
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{
		"IDENTIFY\n", "SUB t c\n", "RDY 5\n", "FIN " + anyID + "\n", "REQ " + anyID + " 1\n", "TOUCH " + anyID + "\n", "CLS\n", "NOP\n",
		"PUB t\n", "MPUB t\n", "DPUB t 1\n", "AUTH\n", "\x00\x00\x00\x01", "\x00\x00\x00\x05hello", "\xff\xff\xff\xff", "\n", " ", "{}",
	}
	for range 300 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		in := []byte("  V2")
		for range random.IntN(30) {
			if random.IntN(4) == 0 {
				in = append(in, byte(random.Uint32()))
			} else {
				in = append(in, words[random.IntN(len(words))]...)
			}
		}
		conn.Write(in)
		if random.IntN(2) == 0 {
			conn.(*net.TCPConn).CloseWrite()
			conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Fatalf("%q: %v", in, err)
			}
		}
		conn.Close()
	}
	eventually(t, "the end of all sessions", func() bool { return server.Connections() == 0 })
	for _, s := range b.subs {
		if closed, misuse := s.isClosed(); !closed || misuse != "" {
			t.Fatalf("subscription closed %v, %s", closed, misuse)
		}
	}
}

// The first unknown command ends the session; its error arrives although a million more are on their way.
func TestFirstOfAMillionUnknownCommandsCloses(t *testing.T) {
	_, addr := startServer(t, newFakeBackend(), Options{})
	c := dial(t, addr)
	go io.WriteString(c.conn, strings.Repeat("WHAT\n", 1_000_000))
	c.expectError("E_INVALID invalid command WHAT")
	c.expectClosed()
}

func TestTricklingClientIsServed(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dialSilent(t, addr)
	for _, x := range []byte("  V2" + pub("t", "hello") + mpub("t", "a", "b")) {
		c.send(string(x))
		time.Sleep(time.Millisecond)
	}
	c.expect("OK")
	c.expect("OK")
}

func TestTooManyConnectionsAreRefused(t *testing.T) {
	server, addr := startServer(t, newFakeBackend(), Options{MaxConnections: 2})
	a, b := dial(t, addr), dial(t, addr)
	roundTrip(t, a)
	roundTrip(t, b)
	c := dialSilent(t, addr)
	if _, _, err := c.frame(); err == nil {
		t.Fatal("a third connection is served")
	}
	a.conn.Close()
	eventually(t, "room", func() bool { return server.Connections() == 1 })
	roundTrip(t, dial(t, addr))
}

func TestFinishesOfABurstShareOneCall(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	c.send("SUB t c\nRDY 100\n")
	c.expect("OK")
	var burst strings.Builder
	for range 100 {
		m := c.expectMessage()
		fmt.Fprintf(&burst, "FIN %s\n", m.id)
	}
	c.send(burst.String() + "RDY 0\nFIN ffffffffffffffff\nFIN ffffffffffffffff\n")
	errors := 0
	for errors < 2 {
		kind, data, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		if kind == 1 {
			errors++
			if want := "E_FIN_FAILED FIN ffffffffffffffff failed client does not own message"; data != want {
				t.Fatalf("got %q", data)
			}
		}
	}
	s := b.subs[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished != 102 || s.finishes > 5 {
		t.Fatalf("%d FINs in %d calls", s.finished, s.finishes)
	}
}

func TestSessionsDescribeThemselves(t *testing.T) {
	server, addr, b := startBroker(t, Options{})
	c := dial(t, addr)
	c.send(identify(`{"client_id":"me","hostname":"here","user_agent":"test/1","sample_rate":0}`), "SUB t c\n", "RDY 7\n",
		mpub("t", "1", "2"), pub("u", "3"))
	got := 0
	var id string
	for oks := 0; oks < 4 || got < 2; {
		kind, data, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		if kind == 2 {
			got++
			id = data[10:26]
		} else {
			oks++
		}
	}
	c.send("FIN " + id + "\n")
	eventually(t, "the finish", func() bool {
		p := server.Producers()
		return len(p) == 1 && p[0].FinishCount == 1
	})
	p := server.Producers()[0]
	if p.ClientID != "me" || p.Hostname != "here" || p.UserAgent != "test/1" || p.Version != "V2" || p.State != 3 || p.ReadyCount != 7 ||
		p.MessageCount != 2 || p.RemoteAddress != c.conn.LocalAddr().String() || time.Now().Unix()-p.ConnectTime > 10 {
		t.Errorf("got %+v", p)
	}
	if s := fmt.Sprint(p.PubCounts); s != "[{t 2} {u 1}]" {
		t.Errorf("pub counts %s", s)
	}
	clients := b.Stats("t", "c", true)[0].Channels[0].Clients
	if len(clients) != 1 || clients[0].ClientID != "me" || clients[0].InFlightCount != 1 {
		t.Errorf("clients of the channel: %+v", clients)
	}
}
