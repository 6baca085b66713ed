//go:build process

package conformance

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestStatsdGetsWhatStockNsqdPushes lets the same happen on both servers, each with a statsd daemon of its own, and compares the names,
// the kinds and the steady values of what is pushed.
func TestStatsdGetsWhatStockNsqdPushes(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags []string
	}{
		{"as is", nil},
		{"everything", []string{"--statsd-prefix=a.%s.b", "--e2e-processing-latency-percentile=0.999,0.5", "--statsd-udp-packet-size=100"}},
		{"little", []string{"--statsd-prefix=", "--statsd-mem-stats=false", "--statsd-exclude-ephemeral"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stock, weir []string
			var both sync.WaitGroup
			for _, side := range []struct {
				name, binary string
				args         []string
				lines        *[]string
			}{{"stock", stockBinary, nil, &stock}, {"weir", weirBinary, []string{"nsqd"}, &weir}} {
				daemon, err := net.ListenPacket("udp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer daemon.Close()
				flags := append([]string{"--statsd-address=" + daemon.LocalAddr().String(), "--statsd-interval=1500ms", "--broadcast-http-port=4151"}, test.flags...)
				s := startServer(t, side.name, side.binary, side.args, flags)
				both.Go(func() {
					makeTraffic(t, s)
					*side.lines = pushedTwice(t, daemon)
				})
			}
			both.Wait()
			for _, line := range stock {
				if !slices.Contains(weir, line) {
					t.Errorf("only stock nsqd pushes %s", line)
				}
			}
			for _, line := range weir {
				if !slices.Contains(stock, line) {
					t.Errorf("only weir pushes %s", line)
				}
			}
			t.Logf("both push:\n%s", strings.Join(stock, "\n"))
			if len(stock) < 8 {
				t.Errorf("stock nsqd pushes %d lines only: this test cannot fail", len(stock))
			}
		})
	}
}

// makeTraffic publishes, consumes, requeues and leaves some messages behind, before the first push.
func makeTraffic(t *testing.T, s *server) {
	c := newClient(s, "busy", true)
	c.post("/topic/create?topic=idle", "")
	c.post("/channel/create?topic=idle&channel=ch", "")
	c.post("/topic/create?topic=e%23ephemeral", "")
	n := c.consume("", "ch", 2, "")
	c.consume("", "other#ephemeral", 0, "")
	for range 3 {
		n.raw.Send(rawnsq.AppendPub(nil, "busy", []byte("four")))
	}
	for range 3 {
		n.glance()
	}
	c.settle("ch", 1, 2, 0)
	if c.err != nil {
		t.Error(s.name, c.err)
	}
	t.Cleanup(func() {
		for _, conn := range c.conns {
			conn.raw.Close()
		}
	})
}

// pushedTwice returns the different lines of at least two pushes, sorted, without the values that differ between runs.
func pushedTwice(t *testing.T, daemon net.PacketConn) []string {
	var lines []string
	daemon.SetReadDeadline(time.Now().Add(4500 * time.Millisecond))
	buf := make([]byte, 64<<10)
	for {
		n, _, err := daemon.ReadFrom(buf)
		if err != nil {
			break // the end of the time
		}
		for line := range strings.Lines(string(buf[:n])) {
			name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			value, kind, ok := strings.Cut(rest, "|")
			if !ok {
				t.Errorf("a packet with half a line: %q", buf[:n])
			}
			if strings.Contains(name, "mem.") || strings.Contains(name, "latency") || strings.Contains(name, "backend_depth") || kind == "c" && value == "0" {
				value = "NUMBER"
			}
			lines = append(lines, name+":"+value+"|"+kind)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
