//go:build process

package tools

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// makeBacklog leaves in a broker: topic orders with channel a (old 0..99 and new 0..199), b (new only), paused c (new only);
// paused topic held with channel d (before 0..49), and 50..99 waiting; topic alone without channels (0..29). Of a's messages,
// old 7 was tried three times.
func makeBacklog(t *testing.T, b *proc.Broker) {
	t.Helper()
	post(t, b, "/topic/create?topic=orders", "")
	post(t, b, "/channel/create?topic=orders&channel=a", "")
	publish(t, b, "orders", "old", 0, 100)
	eventually(t, "a has its messages", func() bool { return left(t, b, "orders", "a") == 100 })
	tryThreeTimes(t, b, "orders", "a", "old 7")
	post(t, b, "/channel/create?topic=orders&channel=b", "")
	post(t, b, "/channel/create?topic=orders&channel=c", "")
	post(t, b, "/channel/pause?topic=orders&channel=c", "")
	publish(t, b, "orders", "new", 0, 200)
	eventually(t, "c has its messages", func() bool { return left(t, b, "orders", "c") == 200 && left(t, b, "orders", "b") == 200 })

	post(t, b, "/topic/create?topic=held", "")
	post(t, b, "/channel/create?topic=held&channel=d", "")
	publish(t, b, "held", "h", 0, 50)
	eventually(t, "d has its messages", func() bool { return left(t, b, "held", "d") == 50 })
	post(t, b, "/topic/pause?topic=held", "")
	publish(t, b, "held", "h", 50, 100)

	post(t, b, "/topic/create?topic=alone", "")
	publish(t, b, "alone", "x", 0, 30)
}

// tryThreeTimes delivers one message of a channel three times without finishing it.
func tryThreeTimes(t *testing.T, b *proc.Broker, topic, channel, body string) {
	t.Helper()
	done := make(chan struct{})
	cfg := nsq.NewConfig()
	cfg.MaxInFlight = 1000
	c, err := nsq.NewConsumer(topic, channel, cfg)
	must(t, err)
	c.SetLoggerLevel(nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		m.DisableAutoResponse()
		if string(m.Body) == body {
			m.RequeueWithoutBackoff(0)
			if m.Attempts == 3 {
				close(done)
				m.DisableAutoResponse()
			}
		}
		return nil // the others stay in flight until the end of the connection or of the broker
	}))
	must(t, c.ConnectToNSQD(b.TCP()))
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the message does not come three times")
	}
	c.Stop()
}

// checkBacklog consumes what makeBacklog has left, after it was moved.
func checkBacklog(t *testing.T, b *proc.Broker) {
	t.Helper()
	topics := stats(t, b)
	paused := map[string]bool{}
	for _, c := range topics["orders"].Channels {
		paused[c.Name] = c.Paused
	}
	if len(topics) != 3 || len(paused) != 3 || paused["a"] || paused["b"] || !paused["c"] || topics["orders"].Paused || !topics["held"].Paused {
		t.Fatalf("topics %+v", topics)
	}
	if topics["held"].Depth != 50 || left(t, b, "held", "d") != 50 || topics["alone"].Depth != 30 {
		t.Errorf("held %+v, alone %+v", topics["held"], topics["alone"])
	}
	a := drain(t, b, "orders", "a")
	for i := range 100 {
		if a[fmt.Sprintf("old %d", i)] == 0 {
			t.Fatalf("a lacks old %d", i)
		}
	}
	if len(a) != 300 || a["old 7"] < 3 {
		t.Errorf("a has %d messages, old 7 was tried %d times", len(a), a["old 7"])
	}
	drain(t, b, "orders", "b").expect(t, "b", 0, 200, "new")
	post(t, b, "/channel/unpause?topic=orders&channel=c", "")
	drain(t, b, "orders", "c").expect(t, "c", 0, 200, "new")
	post(t, b, "/topic/unpause?topic=held", "")
	eventually(t, "held flows", func() bool { return left(t, b, "held", "d") == 100 })
	drain(t, b, "held", "d").expect(t, "d", 0, 100, "h")
	drain(t, b, "alone", "first").expect(t, "alone", 0, 30, "x")
}

// stockData makes the data directory of a stock nsqd that was stopped.
func stockData(t *testing.T, args ...string) string {
	t.Helper()
	data := t.TempDir()
	b := startBroker(t, stockNsqd(t, data, args...))
	makeBacklog(t, b)
	must(t, b.Stop(patience))
	return data
}

func TestImportInPlaceThenExport(t *testing.T) {
	// Small files, so that queues have several of them.
	data := stockData(t, "--mem-queue-size=0", "--max-bytes-per-file=2000")

	code, out := weir(t, "nsqd", "--data-path="+data, "--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0")
	if code != 1 || !strings.Contains(out, "weir import nsq "+data) {
		t.Fatalf("a node on nsqd's data: code %d, %s", code, out)
	}
	code, out = weir(t, "import", "nsq", "--dry-run", data)
	if code != 0 || !strings.Contains(out, "topic orders, channel a: 300 messages") || !strings.Contains(out, "to import: 830 messages") {
		t.Fatalf("dry run: code %d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(data, "weir-import")); err == nil {
		t.Error("the dry run has left something")
	}
	code, out = weir(t, "import", "nsq", data)
	if code != 0 || !strings.Contains(out, "imported: 830 messages") {
		t.Fatalf("import: code %d, %s", code, out)
	}
	if code, out = weir(t, "import", "nsq", data); code != 1 || !strings.Contains(out, "already") {
		t.Errorf("a second import: code %d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(data, "nsq-imported", "nsqd.dat")); err != nil {
		t.Error(err)
	}

	// The way back, before anything is consumed.
	back := filepath.Join(t.TempDir(), "back")
	if code, out = weir(t, "export", "nsq", "--data-path="+data, back); code != 0 || !strings.Contains(out, "exported: 830 messages") {
		t.Fatalf("export: code %d, %s", code, out)
	}
	checkBacklog(t, startBroker(t, stockNsqd(t, back)))
	checkBacklog(t, startBroker(t, weirNsqd(t, data)))
	if code, out = weir(t, "export", "nsq", "--data-path="+data, back); code != 1 || !strings.Contains(out, "not empty") {
		t.Errorf("an export over another: code %d, %s", code, out)
	}
}

func TestImportElsewhereLeavesNsqdAsItIs(t *testing.T) {
	data := stockData(t)
	target := filepath.Join(t.TempDir(), "weir-data")
	if code, out := weir(t, "import", "nsq", "--data-path="+target, data); code != 0 {
		t.Fatalf("import: code %d, %s", code, out)
	}
	checkBacklog(t, startBroker(t, weirNsqd(t, target)))
	checkBacklog(t, startBroker(t, stockNsqd(t, data)))
}

func TestAnImportWaitsForTheEndOfNsqd(t *testing.T) {
	data := t.TempDir()
	startBroker(t, stockNsqd(t, data))
	if code, out := weir(t, "import", "nsq", data); code != 1 || !strings.Contains(out, "in use") {
		t.Errorf("code %d, %s", code, out)
	}
}

func TestAKilledNsqdLosesNothingOfItsFiles(t *testing.T) {
	data := t.TempDir()
	b := startBroker(t, stockNsqd(t, data, "--mem-queue-size=0", "--sync-every=1"))
	post(t, b, "/topic/create?topic=t", "")
	post(t, b, "/channel/create?topic=t&channel=c", "")
	publish(t, b, "t", "m", 0, 1000)
	eventually(t, "c has its messages", func() bool { return left(t, b, "t", "c") == 1000 })
	must(t, b.Kill())
	code, out := weir(t, "import", "nsq", data)
	if code != 0 && !strings.Contains(out, "it ends within") {
		t.Fatalf("code %d, %s", code, out)
	}
	drain(t, startBroker(t, weirNsqd(t, data)), "t", "c").expect(t, "c", 0, 1000, "m")
}

func TestADamagedFileIsImportedUpToTheDamage(t *testing.T) {
	data := t.TempDir()
	b := startBroker(t, stockNsqd(t, data, "--mem-queue-size=0"))
	post(t, b, "/topic/create?topic=t", "")
	post(t, b, "/channel/create?topic=t&channel=c", "")
	publish(t, b, "t", "m", 0, 100)
	eventually(t, "c has its messages", func() bool { return left(t, b, "t", "c") == 100 })
	must(t, b.Stop(patience))
	files, err := filepath.Glob(filepath.Join(data, "t:c.diskqueue.0*.dat"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	content, err := os.ReadFile(files[0])
	must(t, err)
	at := bytes.Index(content, []byte("m 60")) - 30 // the size of that message
	content[at] = 0x7f
	must(t, os.WriteFile(files[0], content, 0o600))
	code, out := weir(t, "import", "nsq", data)
	if code != 1 || !strings.Contains(out, fmt.Sprintf("%s, byte %d: ", files[0], at)) || !strings.Contains(out, "1 damaged places") {
		t.Fatalf("code %d, %s", code, out)
	}
	drain(t, startBroker(t, weirNsqd(t, data)), "t", "c").expect(t, "c", 0, 60, "m")
}

// An import is killed at many moments, and repeated until it comes to its end.
func TestAKilledImportIsRepeatedWithoutLossOrDuplicates(t *testing.T) {
	data := stockData(t)
	b := startBroker(t, stockNsqd(t, data))
	publish(t, b, "many", "z", 0, 60_000)
	must(t, b.Stop(patience))
	kills := 0
	for delay := 2 * time.Millisecond; ; delay += delay / 3 {
		p := startTool(t, "import", "nsq", data)
		time.Sleep(delay)
		must(t, p.Kill())
		if p.ExitCode() == 0 {
			break
		}
		if strings.Contains(p.Output(), "already") {
			break // it was killed behind its end
		}
		kills++
	}
	if kills < 5 {
		t.Errorf("only %d imports were cut short", kills)
	}
	t.Logf("%d imports were cut short", kills)
	n := startBroker(t, weirNsqd(t, data))
	drain(t, n, "many", "c").expect(t, "many", 0, 60_000, "z")
	post(t, n, "/topic/delete?topic=many", "")
	checkBacklog(t, n)
}
