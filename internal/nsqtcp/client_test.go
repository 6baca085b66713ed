package nsqtcp

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// patience is how long tests wait for what must come.
const patience = 5 * time.Second

// startServer serves backend on a free port until the test ends.
func startServer(t testing.TB, b backend, o Options) (*Server, string) {
	t.Helper()
	server, err := newServer(b, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return server, ln.Addr().String()
}

// startBroker serves a real broker over logs in memory.
func startBroker(t testing.TB, o Options) (*Server, string, *broker.Broker) {
	t.Helper()
	return startBrokerOver(t, hostile.New(hostile.Benign()), o)
}

// startBrokerOver serves a real broker over these logs.
func startBrokerOver(t testing.TB, logs broker.Logs, o Options) (*Server, string, *broker.Broker) {
	t.Helper()
	b, err := broker.Open(logs, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	server, addr := startServer(t, realBackend{b}, o)
	return server, addr, b
}

// client speaks the protocol byte by byte.
type client struct {
	t    testing.TB
	conn net.Conn
}

// dial connects and sends the magic.
func dial(t testing.TB, addr string) *client {
	t.Helper()
	c := dialSilent(t, addr)
	c.send(nsqwire.Magic)
	return c
}

func dialSilent(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn}
}

func (c *client) send(words ...string) {
	c.t.Helper()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, strings.Join(words, "")); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// frame reads one frame.
func (c *client) frame() (nsqwire.FrameType, string, error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	var head [8]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, "", err
	}
	data := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	_, err := io.ReadFull(c.conn, data)
	return nsqwire.FrameType(binary.BigEndian.Uint32(head[4:])), string(data), err
}

func (c *client) expectFrame(wantType nsqwire.FrameType, want string) {
	c.t.Helper()
	kind, data, err := c.frame()
	if err != nil || kind != wantType || data != want {
		c.t.Fatalf("got frame %d %q, %v, want %d %q", kind, data, err, wantType, want)
	}
}

func (c *client) expect(want string)      { c.t.Helper(); c.expectFrame(nsqwire.FrameResponse, want) }
func (c *client) expectError(want string) { c.t.Helper(); c.expectFrame(nsqwire.FrameError, want) }

// expectClosed reads to the end of the connection.
func (c *client) expectClosed() {
	c.t.Helper()
	if kind, data, err := c.frame(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("got frame %d %q, %v, want the end", kind, data, err)
	}
}

// message is a delivery as it went over the wire.
type message struct {
	time     int64
	attempts uint16
	id, body string
}

func (c *client) expectMessage() message {
	c.t.Helper()
	kind, data, err := c.frame()
	if err != nil || kind != nsqwire.FrameMessage || len(data) < nsqwire.MessageHeaderSize {
		c.t.Fatalf("got frame %d %q, %v, want a message", kind, data, err)
	}
	return message{
		time:     int64(binary.BigEndian.Uint64([]byte(data))),
		attempts: binary.BigEndian.Uint16([]byte(data[8:])),
		id:       data[10:26], body: data[26:],
	}
}

// expectNothing makes sure that no frame comes for a while.
func (c *client) expectNothing(d time.Duration) {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(d))
	var b [1]byte
	if n, err := c.conn.Read(b[:]); n > 0 || err == nil {
		c.t.Fatal("something came")
	} else if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		c.t.Fatalf("connection ended: %v", err)
	}
}

// sized returns body after its length.
func sized(body string) string { return length(len(body)) + body }

func length(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }

func pub(topic, body string) string { return "PUB " + topic + "\n" + sized(body) }

func mpub(topic string, bodies ...string) string {
	all := length(len(bodies))
	for _, body := range bodies {
		all += sized(body)
	}
	return "MPUB " + topic + "\n" + sized(all)
}

func identify(json string) string { return "IDENTIFY\n" + sized(json) }

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}
