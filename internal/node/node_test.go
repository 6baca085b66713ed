package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/broker"
)

func testOptions(dir string) Options {
	o := DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress = dir, "127.0.0.1:0", "127.0.0.1:0"
	o.Logger = slog.New(slog.DiscardHandler)
	return o
}

func start(t *testing.T, o Options) *Node {
	t.Helper()
	n, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func request(t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, text, err)
	}
	return string(text)
}

func TestMessagesAndCursorsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	n := start(t, testOptions(dir))
	api := "http://" + n.HTTPAddr()
	request(t, "POST", api+"/topic/create?topic=t", "")
	request(t, "POST", api+"/channel/create?topic=t&channel=c", "")
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, "m%d\n", i)
	}
	request(t, "POST", api+"/mpub?topic=t", lines.String())
	if got := consume(t, n.TCPAddr(), 60); len(got) != 60 {
		t.Fatalf("got %d messages", len(got))
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}

	n = start(t, testOptions(dir))
	rest := consume(t, n.TCPAddr(), 40)
	if len(rest) != 40 || !rest["m99"] || rest["m0"] {
		t.Errorf("after the restart %d messages came: %v", len(rest), rest)
	}
	if got := request(t, "GET", "http://"+n.HTTPAddr()+"/stats?format=json&include_mem=false", ""); !strings.Contains(got, `"topic_name":"t"`) {
		t.Errorf("stats: %s", got)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
}

// consume finishes exactly n messages of t/c through go-nsq, one at a time, and returns their bodies.
func consume(t *testing.T, address string, n int) map[string]bool {
	t.Helper()
	cfg := nsq.NewConfig()
	cfg.MaxInFlight = 1
	c, err := nsq.NewConsumer("t", "c", cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.SetLoggerLevel(nsq.LogLevelError)
	bodyC := make(chan string)
	enoughC := make(chan struct{})
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		select {
		case bodyC <- string(m.Body):
			return nil
		case <-enoughC:
			m.RequeueWithoutBackoff(0) // an error would defer it
			return nil
		}
	}))
	if err := c.ConnectToNSQD(address); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	deadline := time.After(10 * time.Second)
	for len(got) < n {
		select {
		case body := <-bodyC:
			got[body] = true
		case <-deadline:
			t.Fatalf("got %d of %d messages", len(got), n)
		}
	}
	close(enoughC)
	c.Stop()
	<-c.StopChan
	return got
}

func TestRunStopsWithItsContext(t *testing.T) {
	n := start(t, testOptions(t.TempDir()))
	ctx, cancel := context.WithCancel(context.Background())
	doneC := make(chan error, 1)
	go func() { doneC <- n.Run(ctx) }()
	request(t, "GET", "http://"+n.HTTPAddr()+"/ping", "")
	metrics := request(t, "GET", "http://"+n.HTTPAddr()+"/metrics", "")
	for _, name := range []string{"weir_node_healthy 1", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(metrics, "\n"+name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	cancel()
	if err := <-doneC; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := net.Dial("tcp", n.TCPAddr()); err == nil {
		t.Error("the TCP door is still open")
	}
}

func TestStartRefusesWithOneClearLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := t.TempDir()
	holder := start(t, testOptions(used))
	defer holder.Stop()
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "FORMAT"), []byte("weir data directory, format 99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"directory in use", func(o *Options) { o.DataPath = used }, "in use by another weir process"},
		{"newer format", func(o *Options) { o.DataPath = newer }, "newer"},
		{"port taken", func(o *Options) { o.TCPAddress = taken.Addr().String() }, "--tcp-address: listen"},
		{"HTTP port taken", func(o *Options) { o.HTTPAddress = taken.Addr().String() }, "--http-address: listen"},
		{"body above half a segment", func(o *Options) { o.TCP.MaxBodySize = MaxBodyBytes + 1 }, "half of the largest segment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t.TempDir())
			c.change(&o)
			n, err := Start(t.Context(), o)
			if err == nil {
				n.Stop()
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line with %q", err, c.want)
			}
		})
	}
}

// A start that failed must not keep the directory locked.
func TestDirectoryIsFreeAfterAFailedStart(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	o.TCPAddress = "256.0.0.1:0"
	if n, err := Start(t.Context(), o); err == nil {
		n.Stop()
		t.Fatal("it starts")
	}
	if err := start(t, testOptions(dir)).Stop(); err != nil {
		t.Error(err)
	}
}

func TestStockDataIsRefused(t *testing.T) {
	for _, name := range []string{"nsqd.dat", "t.diskqueue.000000.dat", "t:c.diskqueue.meta.dat", ImportDir} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := Start(t.Context(), testOptions(dir))
		if err == nil {
			n.Stop()
			t.Fatalf("%s is ignored", name)
		}
		if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "weir import nsq "+dir) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "FORMAT")); err == nil {
			t.Errorf("%s: the directory was touched", name)
		}
	}
	if err := start(t, testOptions(filepath.Join(t.TempDir(), "new"))).Stop(); err != nil {
		t.Error(err)
	}
}

func TestClosedHTTPDoor(t *testing.T) {
	o := testOptions(t.TempDir())
	o.HTTPAddress = ""
	n := start(t, o)
	if n.HTTPAddr() != "" {
		t.Errorf("HTTP listens at %s", n.HTTPAddr())
	}
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
}

// slowLogs take a while to open, by the tests' measure.
type slowLogs struct{ broker.Logs }

func (slowLogs) List() ([]broker.LogID, error) { return make([]broker.LogID, 3), nil }
func (slowLogs) Open(broker.LogID, broker.Machine) (broker.Log, error) {
	return nil, nil
}

func TestProgressIsShownOnlyWhenRecoveryTakesLong(t *testing.T) {
	var quick bytes.Buffer
	p := startProgress(slowLogs{}, &quick)
	p.List()
	p.stop()
	if quick.Len() > 0 {
		t.Errorf("a quick recovery wrote %q", quick.String())
	}
	var slow bytes.Buffer
	p = startProgress(slowLogs{}, &slow)
	p.List()
	p.Open(broker.LogID{}, nil)
	time.Sleep(progressAfter + progressEvery)
	p.stop()
	if got := slow.String(); !strings.Contains(got, "1 of 3 logs") || !strings.HasSuffix(got, "\n") {
		t.Errorf("a slow recovery wrote %q", got)
	}
}
