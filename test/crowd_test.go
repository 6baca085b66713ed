//go:build process

package test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/descriptors"
	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// crowd is how many clients misbehave at a time: WEIR_CROWD, or a few.
func crowd(t *testing.T) int { return env.Number(t, "WEIR_CROWD", 1000) }

// crowdTime is for how long: WEIR_CROWD_SECONDS.
func crowdTime(t *testing.T) time.Duration {
	return time.Duration(env.Number(t, "WEIR_CROWD_SECONDS", 2)) * time.Second
}

// TestACrowdOfSlowClientsIsBounded opens very many connections at each door and sends a byte a second on each, for ever unless the door
// closes them: the node stays small, and an honest client is served as fast as ever.
func TestACrowdOfSlowClientsIsBounded(t *testing.T) {
	const allowedEach = 24 << 10 // bytes of resident memory for each connection
	var free [5]string
	for i := range free {
		var err error
		free[i], err = proc.FreeAddress()
		must(t, err)
	}
	admin, lookupTCP, lookupHTTP, peers, gossip := free[0], free[1], free[2], free[3], free[4]
	b := startBroker(t, "--admin-address", admin, "--discovery-tcp-address", lookupTCP, "--discovery-http-address", lookupHTTP,
		"--peer-address", peers, "--gossip-address", gossip, "--join", gossip)
	slowPub := rawnsq.AppendPub([]byte("  V2"), "slow", bytes.Repeat([]byte("slow"), 1000))
	slowRegister := append([]byte("  V1REGISTER "), bytes.Repeat([]byte("slow"), 10)...)
	slowGet := fmt.Appendf(nil, "POST /pub?topic=slow HTTP/1.1\r\nHost: %s\r\nX-Slow: %0400d", b.HTTP(), 1)
	for _, door := range []struct {
		name, addr string
		text       []byte
		most       int // connections at a time; others wait
	}{{"TCP", b.TCP(), slowPub, 65_536}, {"HTTP", b.HTTP(), slowGet, 8192}, {"admin page", admin, slowGet, 1024},
		{"lookup TCP", lookupTCP, slowRegister, 16_384}, {"lookup HTTP", lookupHTTP, slowGet, 16_384},
		{"peers", peers, make([]byte, 100), 64}} {
		t.Run(door.name, func(t *testing.T) {
			c := watchCrowd(t, b)
			var conns []net.Conn
			for range crowd(t) {
				conn, err := net.DialTimeout("tcp", door.addr, time.Second)
				if err != nil {
					break // the door lets no more in, and the system's queue before it is full
				}
				conns = append(conns, conn)
				defer conn.Close()
			}
			if least := min(crowd(t), door.most, descriptors.Limit()/8); len(conns) < least { // each door has a share of the open files
				t.Fatalf("only %d connections, want %d", len(conns), least)
			}
			closed := make([]bool, len(conns))
			for i := range int(crowdTime(t) / time.Second) {
				c.rest(time.Second, func() {
					for j, conn := range conns {
						if _, err := conn.Write(door.text[i%len(door.text) : i%len(door.text)+1]); err != nil {
							closed[j] = true
						}
					}
				})
			}
			left := 0
			for _, gone := range closed {
				if !gone {
					left++
				}
			}
			for _, conn := range conns {
				conn.Close()
			}
			eventually(t, 5*time.Second, "the HTTP door serves again", func() bool { return b.Ping() == nil })
			c.judge("slow loris", len(conns), allowedEach, fmt.Sprintf("%s, %d connections, %d still open at the end", door.name, len(conns), left))
		})
	}
}

// TestConsumersThatNeverFinishAreBounded lets consumers take as much as they may and never answer, while the topic goes on.
func TestConsumersThatNeverFinishAreBounded(t *testing.T) {
	const allowedEach = 1 << 20 // 2,500 messages in flight each, and what waits in its socket
	b := startBroker(t, "--msg-timeout", "2s")
	n := max(crowd(t)/20, 1)
	c := watchCrowd(t, b)
	var taken atomic.Int64
	var reading sync.WaitGroup
	for i := range n {
		consumer, err := rawnsq.NewConsumer(b.TCP(), "honest", fmt.Sprintf("never_%d", i%10), rawnsq.ConsumerOptions{Ready: 2500})
		must(t, err)
		reading.Go(func() {
			for {
				if _, err := consumer.Next(); err != nil {
					return
				}
				taken.Add(1)
			}
		})
		defer func() { consumer.Close() }()
	}
	flood(t, b, "honest", 100_000)
	c.rest(crowdTime(t), func() {})
	c.judge("consumers that never finish", n, allowedEach, fmt.Sprintf("%d consumers of 10 channels took %d messages", n, taken.Load()))
	if taken.Load() < 100_000 {
		t.Errorf("%d messages were taken, want 100000 at least", taken.Load())
	}
}

// TestPublishersThatNeverReadAreBounded has publishers that send as fast as the node reads, and read nothing.
func TestPublishersThatNeverReadAreBounded(t *testing.T) {
	const allowedEach = 6 << 20 // 4 MiB of unanswered commands, and buffers
	b := startBroker(t)
	n := max(crowd(t)/50, 1)
	c := watchCrowd(t, b)
	commands := bytes.Repeat(rawnsq.AppendPub(nil, "deaf#ephemeral", []byte("x")), 1000)
	var sent atomic.Int64
	small := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) { // so that the system does not read much for them
		if controlErr := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	for range n {
		conn, err := small.Dial("tcp", b.TCP())
		must(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("  V2"))
		must(t, err)
		go func() {
			for {
				if _, err := conn.Write(commands); err != nil {
					return
				}
				sent.Add(1000)
			}
		}()
	}
	c.rest(crowdTime(t), func() {})
	stopped := sent.Load()
	c.rest(time.Second, func() {})
	if now := sent.Load(); now != stopped {
		t.Errorf("publishers that read nothing have sent %d commands, and go on: %d a second later", stopped, now)
	}
	c.judge("publishers that never read", n, allowedEach, fmt.Sprintf("%d publishers sent %d commands before they were stopped", n, sent.Load()))
}

// TestHalfOpenConnectionsAreNoticed has consumers whose machine vanishes without a word: within two heartbeats the node closes their
// connections, and what they had in flight goes to others. Vanishing takes TCP_REPAIR, and so root.
func TestHalfOpenConnectionsAreNoticed(t *testing.T) {
	const heartbeat, messages = time.Second, 1000
	b := startBroker(t)
	post(t, b, "/topic/create?topic=orders", nil)
	post(t, b, "/channel/create?topic=orders&channel=work", nil)
	flood(t, b, "orders", messages)
	before, err := b.Process().Descriptors()
	must(t, err)
	n := max(crowd(t)/20, 1)
	for i := range n {
		c, err := rawnsq.NewConsumer(b.TCP(), "orders", "work", rawnsq.ConsumerOptions{Ready: 100, Heartbeat: heartbeat})
		must(t, err)
		if i < messages/100 { // each takes what it may
			for range 100 {
				_, err := c.Next()
				must(t, err)
			}
		}
		if err := vanish(c.Conn.Conn.(*net.TCPConn)); errors.Is(err, syscall.EPERM) {
			t.Skip("TCP_REPAIR is not permitted")
		} else {
			must(t, err)
		}
	}
	began := time.Now()
	honest := newConsumerThatFinishes(t, b, "orders", "work", messages)
	eventually(t, 10*time.Second, "the node closes half-open connections", func() bool {
		now, err := b.Process().Descriptors()
		must(t, err)
		return now <= before+2
	})
	noticed := time.Since(began)
	got := <-honest
	faultreport.Write(t, faultreport.Row{Fault: "half-open connections", Injected: n, Acknowledged: messages, Delivered: got, Lost: messages - got,
		Note: fmt.Sprintf("noticed after %v, heartbeats are %v apart", noticed.Round(10*time.Millisecond), heartbeat)})
	if got != messages || noticed > 3*heartbeat {
		t.Errorf("others got %d of %d messages; noticed after %v, want at most %v", got, messages, noticed, 3*heartbeat)
	}
}

// vanish ends a connection without telling the other side.
func vanish(conn *net.TCPConn) error {
	const tcpRepair = 19
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpRepair, 1)
	}); err != nil {
		return err
	}
	if failed != nil {
		return os.NewSyscallError("setsockopt", failed)
	}
	return conn.Close()
}

// newConsumerThatFinishes counts how many different messages it gets, until it has all or nothing came for five seconds.
func newConsumerThatFinishes(t *testing.T, b *proc.Broker, topic, channel string, all int) <-chan int {
	t.Helper()
	c, err := rawnsq.NewConsumer(b.TCP(), topic, channel, rawnsq.ConsumerOptions{Ready: 100})
	must(t, err)
	gotC := make(chan int, 1)
	go func() {
		defer c.Close()
		seen := map[rawnsq.ID]bool{}
		for len(seen) < all {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			d, err := c.Next()
			if err != nil {
				break
			}
			seen[d.ID] = true
			c.Finish(d.ID)
		}
		c.Flush()
		gotC <- len(seen)
	}()
	return gotC
}

// flood publishes messages of 100 bytes.
func flood(t *testing.T, b *proc.Broker, topic string, messages int) {
	t.Helper()
	var failed atomic.Int64
	p, err := rawnsq.NewPublisher(b.TCP(), 500, func(_ uint64, err error) {
		if err != nil {
			failed.Add(1)
		}
	})
	must(t, err)
	defer p.Close()
	body := bytes.Repeat([]byte("m"), 100)
	for range messages {
		must(t, p.Publish(0, rawnsq.AppendPub(nil, topic, body)))
	}
	must(t, p.Wait())
	if n := failed.Load(); n > 0 {
		t.Fatalf("%d messages were refused", n)
	}
}

// crowdWatch measures what a crowd does to the node and to an honest client.
type crowdWatch struct {
	t       *testing.T
	b       *proc.Broker
	honest  *latency
	quiet   []time.Duration
	before  int64
	highest int64
}

func watchCrowd(t *testing.T, b *proc.Broker) *crowdWatch {
	t.Helper()
	c := &crowdWatch{t: t, b: b, honest: startLatency(t, b.TCP(), "honest")}
	time.Sleep(500 * time.Millisecond)
	c.quiet = c.honest.take()
	t.Cleanup(c.honest.stop)
	var err error
	c.before, err = b.Process().RSS()
	must(t, err)
	return c
}

// rest does something and measures for the rest of a while.
func (c *crowdWatch) rest(length time.Duration, do func()) {
	c.t.Helper()
	end := time.Now().Add(length)
	do()
	for {
		rss, err := c.b.Process().RSS()
		must(c.t, err)
		c.highest = max(c.highest, rss)
		if time.Now().After(end) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// judge says whether memory and the honest client's answers were within bounds.
func (c *crowdWatch) judge(fault string, clients int, allowedEach int64, note string) {
	c.t.Helper()
	const allowedGrowth, allowedAnswer = 48 << 20, 250 * time.Millisecond // the heap's own slack; both cores are busy
	busy := c.honest.take()
	each := (c.highest - c.before) / int64(clients)
	p99 := percentile(busy, 99)
	faultreport.Write(c.t, faultreport.Row{Fault: fault, Injected: clients, Acknowledged: len(busy), Note: fmt.Sprintf(
		"%s; RSS %d → at most %d MiB, %d KiB each; an honest client's answers p50/p99 %v/%v, before %v/%v", note, c.before>>20, c.highest>>20, each>>10,
		percentile(busy, 50), p99, percentile(c.quiet, 50), percentile(c.quiet, 99))})
	if c.highest-c.before > allowedGrowth+int64(clients)*allowedEach {
		c.t.Errorf("memory grew by %d MiB for %d clients, allowed are %d KiB each and %d MiB", (c.highest-c.before)>>20, clients, allowedEach>>10, allowedGrowth>>20)
	}
	if len(busy) < 50 || p99 > allowedAnswer {
		c.t.Errorf("an honest client got %d answers, p99 %v, want at least 50 within %v", len(busy), p99, allowedAnswer)
	}
	must(c.t, c.b.Ping())
}
