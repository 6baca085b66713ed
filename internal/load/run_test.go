package load_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/load"
	"github.com/weirmq/weir/internal/node"
)

// weir starts a node and returns it as a target.
func weir(t *testing.T) load.Target {
	t.Helper()
	o := node.DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	o.Logger, o.Store.Sync = slog.New(slog.DiscardHandler), commitlog.SyncOS
	n, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Stop() })
	return load.Target{TCP: n.TCPAddr(), HTTP: n.HTTPAddr(), Prefix: "load_"}
}

// listen listens on a free port until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// answer is OK, framed.
const answer = "\x00\x00\x00\x06\x00\x00\x00\x00OK"

// server listens for one connection, answers its IDENTIFY, and has serve do the rest; buf is to read into. It returns its address.
func server(t *testing.T, serve func(socket net.Conn, buf []byte)) string {
	t.Helper()
	listener := listen(t)
	go func() {
		socket, err := listener.Accept()
		if err != nil {
			return
		}
		defer socket.Close()
		buf := make([]byte, 1<<20)
		socket.Read(buf)
		socket.Write([]byte(answer))
		serve(socket, buf)
	}()
	return listener.Addr().String()
}

func TestEveryNamedLoadAddsUpOnAWeir(t *testing.T) {
	target := weir(t)
	for _, l := range load.Named() {
		t.Run(l.Name, func(t *testing.T) {
			l.Duration, l.Messages = min(l.Duration, 150*time.Millisecond), 20_000
			result, err := load.Run(t.Context(), target, l, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := result.Err(); err != nil {
				t.Fatal(err)
			}
			if l.Kind != load.Pub && result.Delivered < result.Published*int64(l.Channels) {
				t.Errorf("published %d, delivered %d", result.Published, result.Delivered)
			}
		})
	}
}

func TestManyTopicsAreDealtOut(t *testing.T) {
	l := load.Default()
	l.Kind, l.Topics, l.Connections, l.Window, l.Messages = load.PubSub, 10, 4, 10, 5000
	result, err := load.Run(t.Context(), weir(t), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if result.Err() != nil || result.Published == 0 || result.Delivered != result.Published {
		t.Errorf("published %d, delivered %d, %v", result.Published, result.Delivered, result.Err())
	}
	if result.Server == nil || result.Server.HeapBytes < 1<<16 { // the process is not known, /stats is
		t.Errorf("server: %+v", result.Server)
	}
}

func TestTheGeneratorSaturatesAServerThatDoesNothing(t *testing.T) {
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- load.Null(ctx, listener) }()
	l, _ := load.ByName("mpub200_4c_w8")
	l.Duration = 500 * time.Millisecond
	result, err := load.Run(t.Context(), load.Target{TCP: listener.Addr().String()}, l, nil)
	cancel()
	if err != nil || result.Err() != nil || <-ended != nil {
		t.Fatal(err, result)
	}
	if result.PublishRate < 100_000 { // on a loaded machine and under the race detector too
		t.Errorf("%.0f messages/s", result.PublishRate)
	}
}

func TestAPacedLoadIsChargedForAStall(t *testing.T) {
	addr := server(t, func(socket net.Conn, buf []byte) { // takes half a second before the first answer
		for first := true; ; first = false {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			if first {
				time.Sleep(500 * time.Millisecond)
			}
			socket.Write([]byte(strings.Repeat(answer, strings.Count(string(buf[:n]), "PUB "))))
		}
	})
	l := load.Default()
	l.Rate, l.Duration = 100, time.Second
	result, err := load.Run(t.Context(), load.Target{TCP: addr}, l, nil)
	if err != nil || result.Err() != nil {
		t.Fatal(err, result)
	}
	// About half of the messages were due while the server slept, and waited for it a quarter of a second on average.
	if result.Published < 50 || result.Answers.P90 < 300_000 {
		t.Errorf("%d published, p90 %.0f µs", result.Published, result.Answers.P90)
	}
}

func TestALossIsAnError(t *testing.T) {
	t.Parallel() // it waits for what does not come
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go load.Null(ctx, listener) // says OK and delivers nothing
	l := load.Default()
	l.Kind, l.Messages = load.PubSub, 10
	result, err := load.Run(t.Context(), load.Target{TCP: listener.Addr().String()}, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if result.Err() == nil {
		t.Error("10 messages were lost, and the result is fine")
	}
}

// answers is a server of one connection that answers OK to whatever comes, and to a subscriber's RDY with what it is given.
func answers(t *testing.T, messages func(body []byte) []byte) load.Target {
	t.Helper()
	listener := listen(t)
	bodyC := make(chan []byte, 1)
	serve := func(socket net.Conn) {
		defer socket.Close()
		buf := make([]byte, 4096)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			for line := range strings.SplitSeq(string(buf[:n]), "\n") {
				switch {
				case strings.HasPrefix(line, "RDY"):
					go func() { socket.Write(messages(<-bodyC)) }()
				case strings.HasPrefix(line, "CLS"):
					socket.Write([]byte("\x00\x00\x00\x0e\x00\x00\x00\x00CLOSE_WAIT"))
				case strings.HasPrefix(line, "PUB"):
					bodyC <- bytes.Clone(buf[n-load.StampBytes : n])
					fallthrough
				case strings.HasPrefix(line, "SUB"), strings.Contains(line, "IDENTIFY"):
					socket.Write([]byte("\x00\x00\x00\x06\x00\x00\x00\x00OK"))
				}
			}
		}
	}
	go func() {
		for {
			socket, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(socket)
		}
	}()
	return load.Target{TCP: listener.Addr().String()}
}

// message encodes a message frame.
func message(attempts uint16, body []byte) []byte {
	m := binary.BigEndian.AppendUint32(nil, uint32(4+8+2+16+len(body)))
	m = append(m, 0, 0, 0, 2)
	m = binary.BigEndian.AppendUint64(m, 1)
	m = binary.BigEndian.AppendUint16(m, attempts)
	return append(append(m, "0123456789abcdef"...), body...)
}

func TestWhatCameTwiceIsNoErrorAndWhatNobodySentIs(t *testing.T) {
	for name, c := range map[string]struct {
		messages                    func(body []byte) []byte
		redelivered, lost, phantoms int64
	}{
		"once":  {func(b []byte) []byte { return message(1, b) }, 0, 0, 0},
		"twice": {func(b []byte) []byte { return append(message(1, b), message(2, b)...) }, 1, 0, 0},
		"another number": {func(b []byte) []byte {
			b[8] = 5
			return message(1, b)
		}, 0, 1, 1},
		"another topic": {func(b []byte) []byte {
			stray := bytes.Clone(b)
			stray[15] = 0x80
			return append(message(1, b), message(1, stray)...)
		}, 0, 0, 1},
		"far ahead": {func(b []byte) []byte {
			stray := bytes.Clone(b)
			stray[12] = 0x07
			return append(message(1, b), message(1, stray)...)
		}, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := load.Default()
			l.Kind, l.Messages, l.BodyBytes = load.PubSub, 1, load.StampBytes
			r, err := load.Run(t.Context(), answers(t, c.messages), l, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Redelivered != c.redelivered || r.Lost != c.lost || r.Phantom != c.phantoms {
				t.Errorf("redelivered %d, lost %d, phantom %d", r.Redelivered, r.Lost, r.Phantom)
			}
			if failed := r.Err() != nil; failed != (c.lost+c.phantoms > 0) || r.ErrorCount != c.lost+c.phantoms {
				t.Errorf("%d errors, %v", r.ErrorCount, r.Err())
			}
		})
	}
}

func TestAServerThatStopsReadingLetsAPacedLoadLagBehind(t *testing.T) {
	addr := server(t, func(socket net.Conn, buf []byte) { // takes nothing until the load is nearly over
		time.Sleep(time.Second)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			socket.Write([]byte(strings.Repeat(answer, strings.Count(string(buf[:n]), "PUB "))))
		}
	})
	l := load.Default()
	l.Rate, l.BodyBytes, l.Duration = 1000, 100_000, 900*time.Millisecond // 100 MB/s: more than sockets hold
	result, err := load.Run(t.Context(), load.Target{TCP: addr}, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if result.Unsent < 100 || result.Lag == nil || result.Published+result.Unsent < 890 || result.Published+result.Unsent > 901 {
		t.Errorf("%d published, %d unsent, lag %+v", result.Published, result.Unsent, result.Lag)
	}
}
