package load_test

import (
	"context"
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

func TestEveryNamedLoadAddsUpOnAWeir(t *testing.T) {
	target := weir(t)
	for _, l := range load.Named() {
		t.Run(l.Name, func(t *testing.T) {
			l.Duration, l.Messages = min(l.Duration, 300*time.Millisecond), 20_000
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
	listener := listen(t)
	go func() { // identifies, then takes half a second before the first answer
		socket, err := listener.Accept()
		if err != nil {
			return
		}
		defer socket.Close()
		const answer = "\x00\x00\x00\x06\x00\x00\x00\x00OK"
		buf := make([]byte, 64<<10)
		socket.Read(buf)
		socket.Write([]byte(answer))
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
	}()
	l := load.Default()
	l.Rate, l.Duration = 100, time.Second
	result, err := load.Run(t.Context(), load.Target{TCP: listener.Addr().String()}, l, nil)
	if err != nil || result.Err() != nil {
		t.Fatal(err, result)
	}
	// About half of the messages were due while the server slept, and waited for it a quarter of a second on average.
	if result.Published < 50 || result.Answers.P90 < 300_000 {
		t.Errorf("%d published, p90 %.0f µs", result.Published, result.Answers.P90)
	}
}

func TestALossIsAnError(t *testing.T) {
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
