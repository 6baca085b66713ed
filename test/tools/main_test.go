//go:build process

package tools

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// patience is how long anything may take.
const patience = 30 * time.Second

// The programs under test, set by TestMain.
var (
	weirBinary string
	stockDir   string // for stock programs that are built
)

func TestMain(m *testing.M) {
	os.Exit(proc.Main(m, func(dir string) error {
		stockDir = dir
		return proc.Weir(&weirBinary)(dir)
	}))
}

var stockOnce sync.Mutex

// stock returns the path of a stock program.
func stock(t *testing.T, program string) string {
	t.Helper()
	stockOnce.Lock()
	defer stockOnce.Unlock()
	path, err := proc.Stock(stockDir, program)
	must(t, err)
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eachBroker runs a test with a weir nsqd and with a stock nsqd.
func eachBroker(t *testing.T, test func(t *testing.T, b *proc.Broker)) {
	t.Run("weir", func(t *testing.T) { test(t, startBroker(t, weirNsqd(t, t.TempDir()))) })
	t.Run("stock", func(t *testing.T) { test(t, startBroker(t, stockNsqd(t, t.TempDir()))) })
}

// weirNsqd and stockNsqd prepare a broker on a data directory.
func weirNsqd(t *testing.T, data string) *proc.Broker {
	t.Helper()
	b, err := proc.NewBroker(weirBinary, data)
	must(t, err)
	b.Command = []string{"nsqd"}
	return b
}

func stockNsqd(t *testing.T, data string, args ...string) *proc.Broker {
	t.Helper()
	b, err := proc.NewBroker(stock(t, "nsqd"), data, args...)
	must(t, err)
	b.Command = []string{}
	return b
}

func startBroker(t *testing.T, b *proc.Broker) *proc.Broker {
	t.Helper()
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("log of the broker:\n%s", b.Log())
		}
	})
	_, err := b.Start()
	must(t, err)
	return b
}

// startTool starts a tool of weir. Its output is shown if the test fails.
func startTool(t *testing.T, name string, args ...string) *proc.Process {
	t.Helper()
	return startProgram(t, weirBinary, append([]string{name}, args...)...)
}

func startProgram(t *testing.T, path string, args ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(proc.Spec{Path: path, Args: args})
	must(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s %s:\n%s", path, strings.Join(args, " "), p.Output())
		}
	})
	return p
}

// weir runs weir to its end and returns exit code and output.
func weir(t *testing.T, args ...string) (int, string) {
	t.Helper()
	p := startProgram(t, weirBinary, args...)
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("weir %q does not end", args)
	}
	return p.ExitCode(), p.Output()
}

// freeAddress returns a loopback address whose port was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := proc.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// post makes a request that has to succeed.
func post(t *testing.T, b *proc.Broker, path, body string) {
	t.Helper()
	resp, err := http.Post("http://"+b.HTTP()+path, "", strings.NewReader(body))
	must(t, err)
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", path, resp.Status, text)
	}
}

// publish publishes messages "PREFIX N" with numbers [from, to).
func publish(t *testing.T, b *proc.Broker, topic, prefix string, from, to int) {
	t.Helper()
	for from < to {
		n := min(to, from+500)
		var body strings.Builder
		for i := from; i < n; i++ {
			fmt.Fprintf(&body, "%s %d\n", prefix, i)
		}
		post(t, b, "/mpub?topic="+topic, body.String())
		from = n
	}
}

// channelStats are what /stats says of a channel.
type channelStats struct {
	Name     string `json:"channel_name"`
	Depth    int    `json:"depth"`
	InFlight int    `json:"in_flight_count"`
	Deferred int    `json:"deferred_count"`
	Paused   bool   `json:"paused"`
}

// topicStats are what it says of a topic.
type topicStats struct {
	Name     string         `json:"topic_name"`
	Depth    int            `json:"depth"`
	Paused   bool           `json:"paused"`
	Channels []channelStats `json:"channels"`
}

func stats(t *testing.T, b *proc.Broker) map[string]topicStats {
	t.Helper()
	resp, err := http.Get("http://" + b.HTTP() + "/stats?format=json")
	must(t, err)
	defer resp.Body.Close()
	var all struct {
		Topics []topicStats `json:"topics"`
	}
	must(t, json.NewDecoder(resp.Body).Decode(&all))
	topics := map[string]topicStats{}
	for _, topic := range all.Topics {
		topics[topic.Name] = topic
	}
	return topics
}

// left returns how many messages a channel has not finished.
func left(t *testing.T, b *proc.Broker, topic, channel string) int {
	t.Helper()
	for _, c := range stats(t, b)[topic].Channels {
		if c.Name == channel {
			return c.Depth + c.InFlight + c.Deferred
		}
	}
	return -1
}

// delivered is what a consumer has got: bodies and the highest number of attempts of each.
type delivered map[string]uint16

// drain consumes a channel until it is empty, and fails the test if a message comes twice.
func drain(t *testing.T, b *proc.Broker, topic, channel string) delivered {
	t.Helper()
	var mu sync.Mutex
	got := delivered{}
	cfg := nsq.NewConfig()
	cfg.MaxInFlight, cfg.MaxAttempts = 500, 0
	c, err := nsq.NewConsumer(topic, channel, cfg)
	must(t, err)
	c.SetLoggerLevel(nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		mu.Lock()
		defer mu.Unlock()
		if got[string(m.Body)] > 0 {
			t.Errorf("%s/%s: %q came twice", topic, channel, m.Body)
		}
		got[string(m.Body)] = m.Attempts
		return nil
	}))
	must(t, c.ConnectToNSQD(b.TCP()))
	eventually(t, topic+"/"+channel+" is empty", func() bool { return left(t, b, topic, channel) == 0 })
	c.Stop()
	<-c.StopChan
	return got
}

// expect fails the test unless exactly the messages "PREFIX N", N in [from, to), of the given prefixes are there.
func (d delivered) expect(t *testing.T, what string, from, to int, prefixes ...string) {
	t.Helper()
	for _, prefix := range prefixes {
		for i := from; i < to; i++ {
			if d[fmt.Sprintf("%s %d", prefix, i)] == 0 {
				t.Fatalf("%s: %s %d is missing; there are %d messages", what, prefix, i, len(d))
			}
		}
	}
	if want := (to - from) * len(prefixes); len(d) != want {
		t.Errorf("%s: %d messages, want %d", what, len(d), want)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// linesOf counts the lines of the files that match.
func linesOf(t *testing.T, pattern string, read func(path string) string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(pattern)
	must(t, err)
	counts := map[string]int{}
	for _, path := range files {
		for line := range strings.Lines(read(path)) {
			counts[line]++
		}
	}
	return counts
}

// plain reads a file.
func plain(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}
