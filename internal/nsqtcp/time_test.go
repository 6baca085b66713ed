package nsqtcp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs a session over a pipe, in a bubble with a clock of its own. It gives the test the client's end, and waits for
// the session's end after it.
func inBubble(t *testing.T, b backend, o Options, test func(t *testing.T, s *session, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server, err := newServer(b, o)
		if err != nil {
			t.Fatal(err)
		}
		s, c, end := overPipe(t, server)
		test(t, s, c)
		end()
		server.cancel()
	})
}

// overPipe runs a session over a pipe until end is called, and returns the client's end of it.
func overPipe(t *testing.T, server *Server) (s *session, c *client, end func()) {
	ours, theirs := net.Pipe()
	s = newSession(server, ours)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(context.Background())
	}()
	c = &client{t: t, conn: theirs}
	c.send("  V2")
	return s, c, func() {
		theirs.Close()
		<-ended
	}
}

func TestHeartbeatsKeepTime(t *testing.T) {
	inBubble(t, newFakeBackend(), Options{}, func(t *testing.T, _ *session, c *client) {
		c.send(identify(`{"heartbeat_interval":7000}`))
		c.expect("OK")
		next := time.Now()
		for i := range 5 {
			next = next.Add(7 * time.Second)
			time.Sleep(time.Until(next) - time.Second) // an interval is longer than the test's patience
			c.expect("_heartbeat_")
			if late := time.Since(next); late != 0 {
				t.Fatalf("heartbeat %d is late by %v", i, late)
			}
			c.send("NOP\n")
		}
	})
}

// A client that takes heartbeats and says nothing is gone after two intervals: half-open connections are noticed.
func TestSilentClientIsNoticedAfterTwoHeartbeats(t *testing.T) {
	inBubble(t, newFakeBackend(), Options{}, func(t *testing.T, _ *session, c *client) {
		start := time.Now()
		c.conn.SetReadDeadline(time.Time{})
		heartbeats, err := io.ReadAll(c.conn)
		if d := time.Since(start); err != nil || d != time.Minute {
			t.Fatalf("ended after %v, %v", d, err)
		}
		if n := strings.Count(string(heartbeats), "_heartbeat_"); n < 1 || n > 2 {
			t.Fatalf("%d heartbeats", n)
		}
	})
}

// A client that sends but does not read is gone one interval after the write it blocks.
func TestClientThatDoesNotReadIsNoticedAfterOneHeartbeat(t *testing.T) {
	inBubble(t, newFakeBackend(), Options{}, func(t *testing.T, s *session, c *client) {
		start := time.Now()
		c.send(pub("t", "x"))
		for { // keeps sending until the session ends
			c.conn.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := io.WriteString(c.conn, "NOP\n"); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Fatalf("ended after %v", d)
		}
	})
}

func TestClientWithoutHeartbeatsMayBeSilent(t *testing.T) {
	inBubble(t, newFakeBackend(), Options{}, func(t *testing.T, _ *session, c *client) {
		c.send(identify(`{"heartbeat_interval":-1}`))
		c.expect("OK")
		time.Sleep(time.Hour)
		c.send(pub("t", "x"))
		c.expect("OK")
	})
}

func TestQuietSessionGivesItsBufferBack(t *testing.T) {
	for quiet, want := range map[time.Duration]int{
		quietTime - time.Millisecond: maxInputSize, // after a large body it is that of a busy session
		quietTime + time.Millisecond: minInputSize,
	} {
		inBubble(t, newFakeBackend(), Options{}, func(t *testing.T, s *session, c *client) {
			c.send(mpub("t", strings.Repeat("x", 300_000), strings.Repeat("y", 300_000)))
			c.expect("OK")
			time.Sleep(quiet)
			synctest.Wait()
			if n := len(s.in.buf); n != want {
				t.Errorf("after %v the buffer has %d bytes, want %d", quiet, n, want)
			}
			c.send(pub("t", "x")) // and it is none the worse for it
			c.expect("OK")
		})
	}
}

// Sessions that were busy once must not keep what they needed then.
func TestBusySessionsShrinkWhenTheyAreQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := newServer(nullBackend{body: make([]byte, 1000)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		const n = 100
		clients := make([]*client, n)
		before := heap()
		burst := strings.Repeat(pub("t", strings.Repeat("x", 1000)), 60)
		for i := range clients {
			var end func()
			_, clients[i], end = overPipe(t, server)
			defer end()
			for range 10 {
				clients[i].send(burst)
				for range 60 {
					clients[i].expect("OK")
				}
			}
		}
		busy := (heap() - before) / n
		time.Sleep(quietTime + 200*time.Millisecond)
		synctest.Wait()
		quiet := (heap() - before) / n
		t.Logf("%d bytes for each busy connection, %d for a quiet one", busy, quiet)
		if busy < 60<<10 || quiet > 16<<10 {
			t.Errorf("want more than 60 KiB, then less than 16 KiB")
		}
		for _, c := range clients {
			c.send(pub("t", "x"))
			c.expect("OK")
		}
	})
}

func TestReadBufferGrowsWithWhatComes(t *testing.T) {
	in := input{large: &largeInputs{limit: 3 << 20}}
	sizes := []int{}
	for range 14 {
		in.makeRoom(3 << 20)
		sizes = append(sizes, len(in.buf))
		in.filled(len(in.buf) - in.end)
	}
	for i, size := range sizes {
		if want := min(minInputSize<<i, 3<<20); size != want {
			t.Errorf("step %d: %d bytes, want %d", i, size, want)
		}
	}
	in.skip(3 << 20)
	in.makeRoom(1)
	if len(in.buf) != maxInputSize || in.len() != 0 {
		t.Errorf("afterwards %d bytes, %d held", len(in.buf), in.len())
	}
}

func TestOptionsNameTheFieldThatIsWrong(t *testing.T) {
	for field, o := range map[string]Options{
		"MaxMsgSize":             {MaxMsgSize: -1},
		"MaxBodySize":            {MaxBodySize: 1 << 31},
		"MaxRdyCount":            {MaxRdyCount: -1},
		"MaxConnections":         {MaxConnections: -1},
		"MaxOutputBufferSize":    {MaxOutputBufferSize: -5},
		"MsgTimeout":             {MsgTimeout: -time.Second},
		"MaxReqTimeout":          {MaxReqTimeout: -time.Second},
		"HeartbeatInterval":      {HeartbeatInterval: 2 * time.Hour},
		"MinOutputBufferTimeout": {MinOutputBufferTimeout: time.Microsecond},
		"OutputBufferTimeout":    {OutputBufferTimeout: -1},
		"MaxDeflateLevel":        {MaxDeflateLevel: 10},
	} {
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+" ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (&Options{}).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := newServer(nil, Options{MaxRdyCount: -1}); err == nil || errors.Unwrap(err) == nil {
		t.Errorf("new server: %v", err)
	}
}
