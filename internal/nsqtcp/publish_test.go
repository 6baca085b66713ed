package nsqtcp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestBurstOfPublishesIsOneBatch(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	var burst strings.Builder
	for i := range 100 {
		burst.WriteString(pub("t", fmt.Sprint(i)))
	}
	c.send(burst.String())
	for range 100 {
		c.expect("OK")
	}
	batches := b.batches()
	if len(batches) > 3 { // one, unless the burst came in pieces
		t.Fatalf("%d batches", len(batches))
	}
	n := 0
	for _, batch := range batches {
		for _, body := range batch.bodies {
			if body != fmt.Sprint(n) {
				t.Fatalf("message %d is %q", n, body)
			}
			n++
		}
	}
	if n != 100 || b.created != 1 {
		t.Fatalf("%d messages, %d topics created", n, b.created)
	}
}

func TestBatchesKeepTopicsAndMPUBApart(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	c.send(pub("a", "1") + pub("a", "2") + pub("b", "3") + pub("a", "4") + mpub("a", "5", "6") + pub("a", "7") + "DPUB a 5\n" + sized("8"))
	for range 7 {
		c.expect("OK")
	}
	var got []string
	for _, p := range b.batches() {
		got = append(got, fmt.Sprintf("%s:%s/%d", p.topic, strings.Join(p.bodies, ","), p.deferred))
	}
	if s := strings.Join(got, " "); s != "a:1,2,4/0 b:3/0 a:5,6/0 a:7,8/1" {
		t.Fatalf("got %s", s)
	}
}

// Publishes that take turns over topics make a batch for each topic, more topics than a session keeps open several.
func TestTurnsOverTopicsAreOneBatchEach(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	const rounds = 5
	var burst strings.Builder
	for i := range rounds * maxOpenBatches {
		burst.WriteString(pub(fmt.Sprint("t", i%maxOpenBatches), fmt.Sprint(i)))
	}
	c.send(burst.String())
	for range rounds * maxOpenBatches {
		c.expect("OK")
	}
	got := b.batches()
	if len(got) > 2*maxOpenBatches { // the burst may arrive in two pieces
		t.Fatalf("%d batches", len(got))
	}
	next := map[string]int{}
	for _, p := range got {
		for _, body := range p.bodies {
			i, err := strconv.Atoi(body)
			if err != nil || p.topic != fmt.Sprint("t", i%maxOpenBatches) || i/maxOpenBatches != next[p.topic] {
				t.Fatalf("%s of topic %s out of order", body, p.topic)
			}
			next[p.topic]++
		}
	}

	burst.Reset()
	for i := range 4 * maxOpenBatches {
		burst.WriteString(pub(fmt.Sprint("t", i%(2*maxOpenBatches)), "x"))
	}
	c.send(burst.String())
	for range 4 * maxOpenBatches {
		c.expect("OK")
	}
}

func TestLargeBurstsAreSeveralBatches(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	body := strings.Repeat("x", 30_000)
	c.send(strings.Repeat(pub("t", body), 10) + pub("t", strings.Repeat("y", 200_000)))
	for range 11 {
		c.expect("OK")
	}
	for _, p := range b.batches() {
		if size := len(strings.Join(p.bodies, "")); size > maxBatchSize && len(p.bodies) > 1 {
			t.Errorf("batch of %d messages has %d bytes", len(p.bodies), size)
		}
	}
}

func TestAnswersKeepTheOrderOfCommands(t *testing.T) {
	b := newFakeBackend()
	b.hold = true
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	c.send("SUB t c\n" + pub("a", "1") + pub("b", "2") + "REQ " + anyID + " 0\n" + pub("a", "3") + pub("a", "4") + "CLS\n")
	c.expect("OK") // of SUB
	eventually(t, "three batches", func() bool { return b.heldCount() == 3 })
	b.release(2, 1)
	c.expectNothing(30 * time.Millisecond) // the first PUB is not committed
	b.release(0)
	c.expect("OK")
	c.expect("OK")
	c.expectError("E_REQ_FAILED REQ " + anyID + " failed client does not own message")
	c.expect("OK")
	c.expect("OK")
	c.expect("CLOSE_WAIT")
}

func TestFailedPublishEndsTheSessionAfterEarlierAnswers(t *testing.T) {
	for want, err := range map[string]error{
		"E_MPUB_FAILED MPUB failed no space left for new messages":                    fmt.Errorf("append: %w", broker.ErrFull),
		"E_MPUB_FAILED MPUB failed exiting":                                           broker.ErrClosed,
		"E_MPUB_FAILED MPUB failed log failed, restart the node":                      broker.ErrFailed,
		"E_MPUB_FAILED MPUB failed outcome unknown, the message may have been stored": broker.ErrUnknown,
		"E_MPUB_FAILED MPUB failed not the leader of the partition, try another node": broker.ErrNotLeader,
		"E_MPUB_FAILED MPUB failed something else":                                    errors.New("something else"),
	} {
		b := newFakeBackend()
		b.fail = func(p *broker.Proposal) error {
			if p.Messages == 2 {
				return err
			}
			return nil
		}
		_, addr := startServer(t, b, Options{})
		c := dial(t, addr)
		c.send(pub("t", "1") + mpub("t", "2", "3") + pub("t", "4"))
		c.expect("OK")
		c.expectError(want)
		c.expectClosed()
	}
}

func TestTopicThatCannotBeCreatedFailsThePublish(t *testing.T) {
	b := newFakeBackend()
	b.createErr = broker.ErrFull
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	c.send(pub("t", "1"))
	c.expectError("E_PUB_FAILED PUB failed no space left for new messages")
	c.expectClosed()
}

// A client that never reads its answers, or whose answers never come, must not grow the server.
func TestUnansweredCommandsAreBounded(t *testing.T) {
	b := newFakeBackend()
	b.hold = true
	server, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	go func() { // more than the bound; it blocks when the server stops reading
		for range 200 {
			c.conn.Write([]byte(strings.Repeat(pub("t", "x"), 100)))
		}
	}()
	count := func() (n int) {
		for _, p := range b.batches() {
			n += len(p.bodies)
		}
		return n
	}
	eventually(t, "the bound", func() bool { return count() == maxUnanswered })
	time.Sleep(50 * time.Millisecond)
	if n := count(); n != maxUnanswered {
		t.Fatalf("%d commands unanswered", n)
	}
	other := dial(t, addr) // nobody else is disturbed
	other.send(identify("{}"))
	other.expect("OK")
	b.mu.Lock()
	b.hold = false
	held := len(b.held)
	b.mu.Unlock()
	for i := range held {
		b.release(i)
	}
	for range 20_000 {
		c.expect("OK")
	}
	if n := server.Connections(); n != 2 {
		t.Fatalf("%d connections", n)
	}
}

func TestUnansweredBytesAreBounded(t *testing.T) {
	b := newFakeBackend()
	b.hold = true
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	body := strings.Repeat("x", 1<<20)
	go func() {
		for range 20 {
			c.conn.Write([]byte(pub("t", body)))
		}
	}()
	eventually(t, "the bound", func() bool { return b.heldCount() == maxUnansweredBytes>>20 })
	time.Sleep(50 * time.Millisecond)
	if n := b.heldCount(); n != maxUnansweredBytes>>20 {
		t.Fatalf("%d MiB unanswered", n)
	}
	for i := range 20 {
		eventually(t, "the next message", func() bool { return b.heldCount() > i })
		b.release(i)
		c.expect("OK")
	}
}

// One command may be larger than what may be unanswered: alone.
func TestLargestBodyIsTakenAlone(t *testing.T) {
	b := newFakeBackend()
	_, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	bodies := make([]string, 5)
	for i := range bodies {
		bodies[i] = strings.Repeat("x", 1<<20-100)
	}
	for range 3 {
		c.send(pub("t", "x"), mpub("t", bodies...), pub("t", "x"))
		for range 3 {
			c.expect("OK")
		}
	}
}

func TestShutdownAnswersWhatWasReceived(t *testing.T) {
	b := newFakeBackend()
	b.hold = true
	server, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	c.send("SUB t c\nRDY 5\n")
	c.expect("OK")
	c.send(pub("t", "1"))
	eventually(t, "the publish", func() bool { return b.heldCount() == 1 })
	done := make(chan error, 1)
	go func() { done <- server.Shutdown(t.Context()) }()
	select {
	case err := <-done:
		t.Fatalf("shut down with a command under way: %v", err)
	case <-time.After(2 * stopGrace):
	}
	b.release(0)
	for oks := 0; oks < 1; {
		kind, data, err := c.frame()
		if err != nil || kind == 1 {
			t.Fatalf("got %q, %v", data, err)
		}
		if kind == 0 {
			oks++
		}
	}
	c.expectClosed()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if closed, misuse := b.subs[0].isClosed(); !closed || misuse != "" {
		t.Fatalf("subscription closed %v, %s", closed, misuse)
	}
}

func TestShutdownDoesNotWaitForClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	b := newFakeBackend()
	b.body = make([]byte, 20_000)
	server, addr := startServer(t, b, Options{})
	c := dial(t, addr)
	c.send("SUB t c\n")
	c.expect("OK")
	c.send("RDY 2500\n")
	time.Sleep(100 * time.Millisecond) // the socket is full
	start := time.Now()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 3*stopWriteTime {
		t.Fatalf("shut down after %v", d)
	}
}

// Each PUB is followed by a command whose error names it, so that the order of answers can be seen, while commits come late,
// in parts, and from several goroutines.
func TestAnswersKeepTheirOrderUnderLoad(t *testing.T) {
	o := hostile.Benign()
	o.MaxDelay, o.Partial, o.InPlace = 200*time.Microsecond, 0.5, 0.5
	_, addr, _ := startBrokerOver(t, hostile.New(o), Options{})
	var wg sync.WaitGroup
	for g := range 6 {
		c := dial(t, addr)
		c.send("SUB other" + fmt.Sprint(g) + " c\n")
		c.expect("OK")
		const commands = 2000
		wg.Go(func() {
			for i := range commands {
				if _, err := fmt.Fprintf(c.conn, "%sTOUCH %016x\n", pub("t", "x"), i); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for i := range commands {
				if _, data, err := c.frame(); err != nil || data != "OK" {
					t.Errorf("session %d, PUB %d: %q, %v", g, i, data, err)
					return
				}
				want := fmt.Sprintf("E_TOUCH_FAILED TOUCH %016x failed ID not in flight", i)
				if _, data, err := c.frame(); err != nil || data != want {
					t.Errorf("session %d: %q, %v, want %s", g, data, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}
