package statsd

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/latency"
)

// daemon is a UDP listener that keeps what it gets.
func daemon(t *testing.T) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receive reads packets until there were lines of all the names, and returns the lines.
func receive(t *testing.T, conn net.PacketConn, size int, last string) []string {
	t.Helper()
	var lines []string
	buf := make([]byte, 64<<10)
	for {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, lines)
		}
		if packet := string(buf[:n]); n > size || !strings.HasSuffix(packet, "\n") {
			t.Errorf("a packet of %d bytes: %q", n, packet)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(buf[:n]), "\n"), "\n")...)
		if strings.HasPrefix(lines[len(lines)-1], last) {
			return lines
		}
	}
}

func stats(messages uint64) []broker.TopicStats {
	return []broker.TopicStats{
		{Name: "t", Depth: 1, MessageCount: messages, MessageBytes: 10 * messages,
			Latency: &latency.Summary{Values: []latency.Value{{Quantile: 0.999, Took: 7}}},
			Channels: []broker.ChannelStats{
				{Name: "c", Depth: 2, InFlight: 3, Deferred: 4, MessageCount: messages, RequeueCount: 5, TimeoutCount: 6, ClientCount: 7},
				{Name: "e#ephemeral"},
			}},
		{Name: "e#ephemeral"},
	}
}

func TestPushesUnderNsqdsNames(t *testing.T) {
	conn := daemon(t)
	messages := uint64(100)
	p := New(Options{
		Address: conn.LocalAddr().String(), Prefix: "nsq.me.", Interval: 5 * time.Millisecond, PacketSize: 100, ExcludeEphemeral: true,
		Logger: slog.New(slog.DiscardHandler),
	}, func() []broker.TopicStats { return stats(messages) })
	want := func(messages, bytes, requeues, timeouts string) []string {
		return []string{
			"nsq.me.topic.t.message_count:" + messages + "|c", "nsq.me.topic.t.message_bytes:" + bytes + "|c",
			"nsq.me.topic.t.depth:1|g", "nsq.me.topic.t.backend_depth:1|g", "nsq.me.topic.t.e2e_processing_latency_100:7|g",
			"nsq.me.topic.t.channel.c.message_count:" + messages + "|c", "nsq.me.topic.t.channel.c.depth:2|g", "nsq.me.topic.t.channel.c.backend_depth:2|g",
			"nsq.me.topic.t.channel.c.in_flight_count:3|g", "nsq.me.topic.t.channel.c.deferred_count:4|g",
			"nsq.me.topic.t.channel.c.requeue_count:" + requeues + "|c", "nsq.me.topic.t.channel.c.timeout_count:" + timeouts + "|c",
			"nsq.me.topic.t.channel.c.clients:7|g",
		}
	}
	for i, c := range []struct {
		messages uint64
		want     []string
	}{
		{100, want("100", "1000", "5", "6")},
		{130, want("30", "300", "0", "0")},
		{4, want("4", "40", "0", "0")}, // deleted and made again
	} {
		messages = c.messages
		if err := p.push(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, conn, 100, "nsq.me.topic.t.channel.c.clients"); !slices.Equal(got, c.want) {
			t.Errorf("push %d: got\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestRunPushesEphemeralOnesAndMemoryUntilTheEnd(t *testing.T) {
	conn := daemon(t)
	ctx, cancel := context.WithCancel(context.Background())
	doneC := make(chan struct{})
	p := New(Options{Address: conn.LocalAddr().String(), Interval: 5 * time.Millisecond, PacketSize: 508, MemStats: true,
		Logger: slog.New(slog.DiscardHandler)}, func() []broker.TopicStats { return stats(1) })
	go func() {
		defer close(doneC)
		p.Run(ctx)
	}()
	lines := strings.Join(receive(t, conn, 508, "mem.gc_runs"), "\n")
	for _, want := range []string{"topic.e#ephemeral.depth:0|g", "topic.t.channel.e#ephemeral.depth:0|g", "mem.heap_objects:", "mem.gc_pause_usec_99:"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%s is missing in\n%s", want, lines)
		}
	}
	cancel()
	<-doneC
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"nsq.%s", "nsq.broker_1_example_4151."}, {"a.", "a."}, {"", ""}, {"%s.x.%s", "broker_1_example_4151.x.broker_1_example_4151."},
	} {
		if got := Prefix(c.format, "broker.1.example:4151"); got != c.want {
			t.Errorf("%q: got %q, want %q", c.format, got, c.want)
		}
	}
}
