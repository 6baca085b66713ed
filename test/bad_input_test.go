//go:build process

package test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestBadCommandsGetTheProtocolsErrors sends what a broken client may send, each on a connection of its own: the answer is an error
// frame with the code of the protocol, and the connection is closed where the protocol says so.
func TestBadCommandsGetTheProtocolsErrors(t *testing.T) {
	b := startBroker(t)
	long := strings.Repeat("x", 65)
	big := func(n int) []byte { return rawnsq.AppendBody(nil, make([]byte, n)) }
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for _, test := range []struct {
		name string
		send []byte
		want string // the code of the error
	}{
		{"unknown command", []byte("HELLO world\n"), "E_INVALID"},
		{"empty line", []byte("\n"), "E_INVALID"},
		{"lower case", []byte("pub t\n"), "E_INVALID"},
		{"topic too long", slices.Concat([]byte("PUB "+long+"\n"), big(10)), "E_BAD_TOPIC"},
		{"topic of bad bytes", slices.Concat([]byte("PUB a/b\x00\n"), big(10)), "E_BAD_TOPIC"},
		{"no topic", slices.Concat([]byte("PUB\n"), big(10)), "E_INVALID"},
		{"empty topic", slices.Concat([]byte("PUB \n"), big(10)), "E_BAD_TOPIC"},
		{"channel too long", []byte("SUB t " + long + "\n"), "E_BAD_CHANNEL"},
		{"channel of bad bytes", []byte("SUB t \xff\xfe\n"), "E_BAD_CHANNEL"},
		{"no channel", []byte("SUB t\n"), "E_INVALID"},
		{"message too big", slices.Concat([]byte("PUB t\n"), length(1048577)), "E_BAD_MESSAGE"},
		{"message of 1 GiB", slices.Concat([]byte("PUB t\n"), length(1<<30)), "E_BAD_MESSAGE"},
		{"message of negative length", slices.Concat([]byte("PUB t\n"), length(1<<31)), "E_BAD_MESSAGE"},
		{"empty message", slices.Concat([]byte("PUB t\n"), length(0)), "E_BAD_MESSAGE"},
		{"MPUB of 1 GiB", slices.Concat([]byte("MPUB t\n"), length(1<<30)), "E_BAD_BODY"},
		{"MPUB of a billion messages", slices.Concat([]byte("MPUB t\n"), length(100), length(1<<30)), "E_BAD_BODY"},
		{"MPUB with a message of 1 GiB", slices.Concat([]byte("MPUB t\n"), length(100), length(1), length(1<<30)), "E_BAD_MESSAGE"},
		{"MPUB with an empty message", slices.Concat([]byte("MPUB t\n"), length(8), length(1), length(0)), "E_BAD_MESSAGE"},
		{"deferred for ever", slices.Concat([]byte("DPUB t 99999999999\n"), big(10)), "E_INVALID"},
		{"deferred by a word", slices.Concat([]byte("DPUB t soon\n"), big(10)), "E_INVALID"},
		{"deferred into the past", slices.Concat([]byte("DPUB t -1\n"), big(10)), "E_INVALID"},
		{"IDENTIFY of 1 GiB", slices.Concat([]byte("IDENTIFY\n"), length(1<<30)), "E_BAD_BODY"},
		{"IDENTIFY without JSON", rawnsq.AppendBody([]byte("IDENTIFY\n"), []byte("{nonsense")), "E_BAD_BODY"},
		{"IDENTIFY out of range", rawnsq.AppendBody([]byte("IDENTIFY\n"), []byte(`{"heartbeat_interval":1}`)), "E_BAD_BODY"},
		{"RDY before SUB", []byte("RDY 1\n"), "E_INVALID"},
		{"FIN before SUB", []byte("FIN 0123456789abcdef\n"), "E_INVALID"},
		{"CLS before SUB", []byte("CLS\n"), "E_INVALID"},
		{"SUB twice", []byte("SUB t c\nSUB t c\n"), "E_INVALID"},
		{"IDENTIFY after SUB", rawnsq.AppendBody([]byte("SUB t c\nIDENTIFY\n"), []byte("{}")), "E_INVALID"},
		{"RDY above the limit", []byte("SUB t c\nRDY 2501\n"), "E_INVALID"},
		{"negative RDY", []byte("SUB t c\nRDY -1\n"), "E_INVALID"},
		{"FIN of a short id", []byte("SUB t c\nFIN 0123\n"), "E_INVALID"},
		{"REQ with a negative delay", []byte("SUB t c\nREQ 0123456789abcdef -1\n"), "E_INVALID"},
		{"AUTH that is not wanted", rawnsq.AppendBody([]byte("AUTH\n"), []byte("secret")), "E_AUTH_DISABLED"},
		{"endless line", bytes.Repeat([]byte("A"), 20_000), "E_INVALID"}, // nsqd closes without a word
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dialFor(t, b, 5*time.Second)
			if err := c.Send(test.send); err != nil {
				t.Fatal(err)
			}
			expectFatal(t, c, test.want)
		})
	}
	t.Run("bad magic", func(t *testing.T) {
		c, err := rawnsq.DialSilent(b.TCP())
		must(t, err)
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		must(t, c.Send([]byte("GET ")))
		f, err := c.ReadFrame()
		if err != nil || f.Type != rawnsq.Error || string(f.Data) != "E_BAD_PROTOCOL" {
			t.Errorf("got %v %q, %v", f.Type, f.Data, err)
		}
	})
	t.Run("unknown ids are no reason to close", func(t *testing.T) {
		c := dialFor(t, b, 5*time.Second)
		must(t, c.Send([]byte("SUB t c\nFIN 0123456789abcdef\nREQ 0123456789abcdef 0\nTOUCH 0123456789abcdef\nCLS\n")))
		for _, want := range []string{"OK", "E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED", "CLOSE_WAIT"} {
			if f, err := c.ReadFrame(); err != nil || !strings.HasPrefix(string(f.Data), want) {
				t.Errorf("got %q, %v, want %s", f.Data, err, want)
			}
		}
	})
}

func dialFor(t *testing.T, b *proc.Broker, patience time.Duration) *rawnsq.Conn {
	t.Helper()
	c, err := rawnsq.Dial(b.TCP())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// expectFatal reads until the connection is closed; the last frame must be an error that begins with want.
func expectFatal(t *testing.T, c *rawnsq.Conn, want string) {
	t.Helper()
	var last string
	for {
		f, err := c.ReadFrame()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatalf("after %q the connection stays open", last)
		}
		if err != nil {
			break
		}
		last = ""
		if f.Type == rawnsq.Error {
			last = string(f.Data)
		}
	}
	if code, _, _ := strings.Cut(last, " "); code != want {
		t.Errorf("the last error is %q, want %s", last, want)
	}
}

// TestAttackersDoNotDisturbOthers lets hostile clients loose while an honest one publishes: the node's memory stays bounded, and the
// honest client's answers keep coming.
func TestAttackersDoNotDisturbOthers(t *testing.T) {
	const allowedGrowth = 64 << 20
	const allowedAnswer = 250 * time.Millisecond // at the 99th percentile; both cores are busy with the attack
	for _, test := range []struct {
		name   string
		attack func(addr string, end <-chan struct{}) error
	}{
		{"a million unknown commands", unknownCommands},
		{"length prefixes of 1 GiB", hugeLengths},
		{"bodies that never end", truncatedBodies},
		{"slow loris", slowLoris},
		{"answers that nobody reads", unreadAnswers},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := startBroker(t)
			honest := startLatency(t, b.TCP(), "honest")
			time.Sleep(500 * time.Millisecond)
			quiet := honest.take()
			before, err := b.Process().RSS()
			must(t, err)
			end := make(chan struct{})
			attacked := make(chan error, 1)
			go func() { attacked <- test.attack(b.TCP(), end) }()
			var after int64
			for range 40 {
				time.Sleep(100 * time.Millisecond)
				rss, err := b.Process().RSS()
				must(t, err)
				after = max(after, rss)
			}
			close(end)
			if err := <-attacked; err != nil {
				t.Error(err)
			}
			busy := honest.take()
			honest.stop()
			t.Logf("RSS %.1f MiB, under attack at most %.1f MiB; answers p50/p99: quiet %v/%v (%d), under attack %v/%v (%d)",
				float64(before)/(1<<20), float64(after)/(1<<20), percentile(quiet, 50), percentile(quiet, 99), len(quiet),
				percentile(busy, 50), percentile(busy, 99), len(busy))
			if after-before > allowedGrowth {
				t.Errorf("memory grew by %d MiB", (after-before)>>20)
			}
			if p99 := percentile(busy, 99); len(busy) < 50 || p99 > allowedAnswer {
				t.Errorf("%d answers, p99 %v, want at least 50 within %v", len(busy), p99, allowedAnswer)
			}
			if err := b.Ping(); err != nil {
				t.Error(err)
			}
		})
	}
}

// unknownCommands sends a million commands that do not exist, on as many connections as the broker closes.
func unknownCommands(addr string, end <-chan struct{}) error {
	line := bytes.Repeat([]byte("NONSENSE 1 2 3\n"), 1000)
	for range 1000 {
		select {
		case <-end:
			return nil
		default:
		}
		c, err := rawnsq.Dial(addr)
		if err != nil {
			return fmt.Errorf("an attacker cannot connect: %w", err)
		}
		c.Send(line) // the broker may close in the middle
		c.Close()
	}
	<-end
	return nil
}

// hugeLengths announces bodies of 1 GiB on many connections at once.
func hugeLengths(addr string, end <-chan struct{}) error {
	return hold(addr, end, 200, func(c *rawnsq.Conn, i int) {
		command := []string{"PUB t\n", "MPUB t\n", "DPUB t 1\n", "IDENTIFY\n", "AUTH\n"}[i%5]
		c.Send(binary.BigEndian.AppendUint32([]byte(command), 1<<30))
	})
}

// truncatedBodies announces bodies that are allowed, and sends a part of them.
func truncatedBodies(addr string, end <-chan struct{}) error {
	return hold(addr, end, 500, func(c *rawnsq.Conn, _ int) {
		c.Send(append(binary.BigEndian.AppendUint32([]byte("PUB t\n"), 1<<20), make([]byte, 1000)...))
	})
}

// slowLoris sends commands a byte at a time.
func slowLoris(addr string, end <-chan struct{}) error {
	text := rawnsq.AppendPub(nil, "t", bytes.Repeat([]byte("slow"), 1000))
	return hold(addr, end, 500, func(c *rawnsq.Conn, _ int) {
		go func() {
			for _, one := range text {
				select {
				case <-end:
					return
				case <-time.After(50 * time.Millisecond):
				}
				if c.Send([]byte{one}) != nil {
					return
				}
			}
		}()
	})
}

// unreadAnswers publishes without ever reading, until the socket is full.
func unreadAnswers(addr string, end <-chan struct{}) error {
	commands := bytes.Repeat(rawnsq.AppendPub(nil, "t#ephemeral", []byte("x")), 1000)
	return hold(addr, end, 10, func(c *rawnsq.Conn, _ int) {
		go func() {
			for c.Send(commands) == nil {
			}
		}()
	})
}

// hold opens connections, does something on each, keeps them until the end and closes them.
func hold(addr string, end <-chan struct{}, n int, do func(c *rawnsq.Conn, i int)) error {
	var open []*rawnsq.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for i := range n {
		c, err := rawnsq.Dial(addr)
		if err != nil {
			return fmt.Errorf("attacker %d cannot connect: %w", i, err)
		}
		open = append(open, c)
		do(c, i)
	}
	<-end
	return nil
}

// latency publishes one message at a time and keeps how long the answers took.
type latency struct {
	mu      sync.Mutex
	took    []time.Duration
	closing chan struct{}
	over    sync.WaitGroup
}

func startLatency(t *testing.T, addr, topic string) *latency {
	t.Helper()
	l := &latency{closing: make(chan struct{})}
	var sent time.Time
	conn, err := rawnsq.NewPublisher(addr, 1, func(_ uint64, err error) {
		if err == nil {
			l.mu.Lock()
			l.took = append(l.took, time.Since(sent))
			l.mu.Unlock()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	l.over.Go(func() {
		defer conn.Close()
		for {
			select {
			case <-l.closing:
				return
			case <-time.After(2 * time.Millisecond):
			}
			sent = time.Now()
			if conn.Publish(0, rawnsq.AppendPub(nil, topic, []byte("honest"))) != nil || conn.Wait() != nil {
				t.Error("the honest client lost its connection")
				return
			}
		}
	})
	return l
}

// take returns the answers since the last take.
func (l *latency) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.took
	l.took = nil
	return took
}

func (l *latency) stop() {
	close(l.closing)
	l.over.Wait()
}

func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(time.Microsecond)
}
