package tofile

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/tools"
)

// startNode starts a node, at an address of an earlier one if that is given.
func startNode(t *testing.T, dir, address string) *node.Node {
	t.Helper()
	o := node.DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress = dir, address, ""
	o.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// publish sends n numbered messages.
func publish(t *testing.T, address, topic string, from, n int) {
	t.Helper()
	p, err := nsq.NewProducer(address, nsq.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	p.SetLoggerLevel(nsq.LogLevelError)
	defer p.Stop()
	for i := from; i < from+n; i++ {
		if err := p.Publish(topic, fmt.Appendf(nil, "message %d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func testOptions(t *testing.T, dir, address string, topics ...string) Options {
	t.Helper()
	o := DefaultOptions()
	o.Source.Topics, o.Source.NSQDs, o.OutputDir = topics, []string{address}, dir
	o.FilenameFormat, o.HostIdentifier = "<TOPIC>.<HOST><REV>.log", "h"
	o.SyncInterval = 20 * time.Millisecond
	o.Source.Logger = slog.New(slog.DiscardHandler)
	o.Meter.Logger = o.Source.Logger
	var err error
	if o.Source.Config, err = tools.NewConfig("nsq_to_file", nil); err != nil {
		t.Fatal(err)
	}
	o.Source.Config.LookupdPollInterval = 20 * time.Millisecond
	return o
}

// background runs the tool; the function that is returned stops it and returns its error.
func background(o Options) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	doneC := make(chan error, 1)
	go func() { doneC <- Run(ctx, o) }()
	return func() error { cancel(); return <-doneC }
}

// lines returns how often each line stands in a file.
func lines(path string) map[string]int {
	text, _ := os.ReadFile(path)
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		counts[strings.TrimSuffix(line, "\n")]++
	}
	return counts
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func TestMessagesGoToFilesOfTheirTopic(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	out := filepath.Join(t.TempDir(), "new")
	publish(t, n.TCPAddr(), "a", 0, 500)
	publish(t, n.TCPAddr(), "b", 500, 10)
	stop := background(testOptions(t, out, n.TCPAddr(), "a", "b"))
	eventually(t, "all lines", func() bool {
		return len(lines(filepath.Join(out, "a.h.log"))) == 500 && len(lines(filepath.Join(out, "b.h.log"))) == 10
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := lines(filepath.Join(out, "b.h.log")); got["message 505"] != 1 || got["message 5"] != 0 {
		t.Errorf("b's file holds %v", got)
	}
}

// Two consumers would append to one file, each from a buffer of its own, and tear each other's lines.
func TestATopicNamedTwiceHasOneConsumer(t *testing.T) {
	settings := node.DefaultOptions()
	settings.DataPath, settings.TCPAddress, settings.HTTPAddress = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	settings.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	stop := background(testOptions(t, t.TempDir(), n.TCPAddr(), "a", "a"))
	clients := func() string {
		resp, err := http.Get("http://" + n.HTTPAddr() + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
			if count, ok := strings.CutPrefix(scan.Text(), `weir_channel_clients{channel="nsq_to_file",topic="a"} `); ok {
				return count
			}
		}
		return "none"
	}
	eventually(t, "a consumer", func() bool { return clients() != "none" && clients() != "0" })
	time.Sleep(100 * time.Millisecond) // a second one would come now
	if got := clients(); got != "1" {
		t.Errorf("%s consumers", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAStopFinishesWhatIsOnDisk(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	out := t.TempDir()
	publish(t, n.TCPAddr(), "a", 0, 50)
	o := testOptions(t, out, n.TCPAddr(), "a")
	o.SyncInterval = time.Minute // only the stop syncs
	o.Source.Config.MsgTimeout = time.Minute
	stop := background(o)
	publish(t, n.TCPAddr(), "a", 50, 1)
	time.Sleep(300 * time.Millisecond) // long enough for all to arrive; what does not is redelivered
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = background(testOptions(t, out, n.TCPAddr(), "a"))
	path := filepath.Join(out, "a.h.log")
	eventually(t, "all lines", func() bool { return len(lines(path)) == 51 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for line, count := range lines(path) {
		if count != 1 {
			t.Errorf("%q was written %d times: its FIN did not arrive before the stop", line, count)
		}
	}
}

func TestALostNodeIsConnectedAgain(t *testing.T) {
	data, out := t.TempDir(), t.TempDir()
	n := startNode(t, data, "127.0.0.1:0")
	address := n.TCPAddr()
	publish(t, address, "a", 0, 20)
	stop := background(testOptions(t, out, address, "a"))
	path := filepath.Join(out, "a.h.log")
	eventually(t, "the first lines", func() bool { return len(lines(path)) == 20 })
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, data, address)
	defer n.Stop()
	publish(t, address, "a", 20, 20)
	eventually(t, "the lines after the restart", func() bool { return len(lines(path)) == 40 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// go-nsq keeps a broken connection until all its messages are answered; they must not wait for a long sync interval.
func TestALostNodeIsConnectedAgainBeforeTheSyncInterval(t *testing.T) {
	data, out := t.TempDir(), t.TempDir()
	n := startNode(t, data, "127.0.0.1:0")
	address := n.TCPAddr()
	publish(t, address, "a", 0, 3)
	o := testOptions(t, out, address, "a")
	o.SyncInterval = 5 * time.Minute
	stop := background(o)
	time.Sleep(200 * time.Millisecond) // the messages are there, unsynced
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, data, address)
	defer n.Stop()
	publish(t, address, "a", 3, 1)
	eventually(t, "the line after the restart", func() bool { return lines(filepath.Join(out, "a.h.log"))["message 3"] > 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatCannotBeWrittenEndsTheRunAndKeepsTheMessages(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	publish(t, n.TCPAddr(), "a", 0, 10)
	out := t.TempDir()
	o := testOptions(t, out, n.TCPAddr(), "a")
	if err := os.Mkdir(filepath.Join(out, "a.h.log"), 0o700); err != nil { // a directory in the file's place
		t.Fatal(err)
	}
	if err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "open ") {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(filepath.Join(out, "a.h.log")); err != nil {
		t.Fatal(err)
	}
	stop := background(o)
	eventually(t, "all lines", func() bool { return len(lines(filepath.Join(out, "a.h.log"))) == 10 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnreachableNsqdIsAnError(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	address := n.TCPAddr()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), testOptions(t, t.TempDir(), address, "a")); err == nil {
		t.Error("no error")
	}
}

func TestATornLineGetsItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("whole\nto"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &output{o: &Options{OutputDir: filepath.Dir(path), FilenameFormat: "f"}}
	if err := f.open(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := f.write([]byte("next")); err != nil {
		t.Fatal(err)
	}
	if err := f.finish(); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "whole\nto\nnext\n" {
		t.Errorf("got %q", text)
	}
}

func TestFileNames(t *testing.T) {
	at := time.Date(2026, 2, 3, 14, 5, 6, 0, time.UTC)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(host, ".")
	for _, c := range []struct{ name, datetime, identifier, want string }{
		{"<TOPIC>.<HOST><REV>.<DATETIME>.log", "%Y-%m-%d_%H", "", "t." + short + ".2026-02-03_14.log"},
		{"<DATETIME>/<TOPIC>", "%y%j", "", "26034/t"},
		{"<HOST>-<PID>", "", "x<HOSTNAME>", fmt.Sprintf("x%s-%d", host, os.Getpid())},
		{"<DATETIME>", "%b %d %I%p %M:%S %%", "", "Feb 03 02PM 05:06 %"},
	} {
		o := Options{FilenameFormat: c.name, DatetimeFormat: c.datetime, HostIdentifier: c.identifier}
		if got, err := o.fileName("t", at); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{"%", "%Q"} {
		if _, err := strftime(bad, at); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestANewNameBeginsANewFile(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	out := t.TempDir()
	o := testOptions(t, out, n.TCPAddr(), "a")
	o.FilenameFormat, o.DatetimeFormat = "<TOPIC>.<DATETIME>.log", "%H%M%S"
	stop := background(o)
	for i := range 24 { // more than two seconds
		publish(t, n.TCPAddr(), "a", i, 1)
		time.Sleep(100 * time.Millisecond)
	}
	all := func() (files int, total map[string]int) {
		names, _ := filepath.Glob(filepath.Join(out, "a.*.log"))
		total = map[string]int{}
		for _, name := range names {
			for line, count := range lines(name) {
				total[line] += count
			}
		}
		return len(names), total
	}
	eventually(t, "all lines", func() bool { _, total := all(); return len(total) == 24 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if files, _ := all(); files < 3 {
		t.Errorf("%d files", files)
	}
}

func TestFilesWithoutMessagesAreMadeUnlessTheyAreSkipped(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	for _, skip := range []bool{false, true} {
		out := t.TempDir()
		o := testOptions(t, out, n.TCPAddr(), "empty")
		o.SkipEmptyFiles = skip
		stop := background(o)
		if !skip {
			eventually(t, "the empty file", func() bool { return len(names(t, out)) == 1 })
		} else {
			time.Sleep(5 * o.SyncInterval) // it would come with the first
		}
		must(t, stop())
		if got := names(t, out); skip && len(got) != 0 {
			t.Errorf("files %v", got)
		}
	}
}

func TestAReopenSyncsAndBeginsAnotherFile(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	out := t.TempDir()
	o := testOptions(t, out, n.TCPAddr(), "a")
	reopenC := make(chan struct{})
	o.ReopenC, o.SyncInterval, o.SkipEmptyFiles, o.GZIP = reopenC, time.Minute, true, true
	stop := background(o)
	written := func() (text string) { // whole files, and what is synced of the one that is being written
		for _, name := range names(t, out) {
			part, _ := unzip(filepath.Join(out, name))
			text += part
		}
		return text
	}
	publish(t, n.TCPAddr(), "a", 0, 3)
	eventually(t, "the messages", func() bool {
		reopenC <- struct{}{}
		return strings.Count(written(), "\n") == 3
	})
	files := len(names(t, out))
	publish(t, n.TCPAddr(), "a", 3, 1)
	eventually(t, "another file", func() bool { return len(names(t, out)) > files })
	must(t, stop())
	if all := written(); strings.Count(all, "\n") != 4 || !strings.HasSuffix(all, "message 3\n") {
		t.Errorf("got %q", all)
	}
}

func TestTopicsThatMatchAreFoundByLookup(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	_, port, _ := strings.Cut(n.TCPAddr(), ":")
	var topics atomic.Value
	topics.Store(`"orders.a","other"`)
	lookup := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-NSQ-Content-Type", "nsq; version=1.0")
		switch r.URL.Path {
		case "/topics":
			fmt.Fprintf(w, `{"topics":[%s]}`, topics.Load())
		case "/lookup":
			fmt.Fprintf(w, `{"channels":[],"producers":[{"broadcast_address":"127.0.0.1","tcp_port":%s}]}`, port)
		}
	}))
	defer lookup.Close()
	for i, topic := range []string{"orders.a", "orders.b", "other"} {
		publish(t, n.TCPAddr(), topic, i, 1)
	}
	out := t.TempDir()
	o := testOptions(t, out, "")
	o.Source.NSQDs, o.Source.Lookupds = nil, []string{strings.TrimPrefix(lookup.URL, "http://")}
	o.TopicPattern, o.TopicRefresh, o.SkipEmptyFiles = `^orders\.`, 20*time.Millisecond, true
	stop := background(o)
	eventually(t, "the first topic", func() bool { return lines(filepath.Join(out, "orders.a.h.log"))["message 0"] == 1 })
	topics.Store(`"orders.a","orders.b","other"`)
	eventually(t, "the second topic", func() bool { return lines(filepath.Join(out, "orders.b.h.log"))["message 1"] == 1 })
	must(t, stop())
	if got := names(t, out); len(got) != 2 {
		t.Errorf("files %v", got)
	}
}

// go-nsq finishes a message of more than max_attempts, 5 by default, without asking: it would be lost.
func TestAMessageThatWasTriedOftenIsWritten(t *testing.T) {
	n := startNode(t, t.TempDir(), "127.0.0.1:0")
	defer n.Stop()
	publish(t, n.TCPAddr(), "a", 0, 1)
	tried := make(chan struct{})
	config := nsq.NewConfig()
	config.MaxAttempts = 0 // this consumer must not give up what comes back to it before it has stopped
	c, err := nsq.NewConsumer("a", "nsq_to_file", config)
	must(t, err)
	c.SetLoggerLevel(nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		m.RequeueWithoutBackoff(0)
		if m.Attempts == 5 {
			close(tried)
		}
		return nil
	}))
	must(t, c.ConnectToNSQD(n.TCPAddr()))
	<-tried
	c.Stop()
	<-c.StopChan
	out := t.TempDir()
	stop := background(testOptions(t, out, n.TCPAddr(), "a"))
	eventually(t, "the message", func() bool { return lines(filepath.Join(out, "a.h.log"))["message 0"] == 1 })
	must(t, stop())
}
