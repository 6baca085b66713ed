package tonsq

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/tools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// standIn answers PUB as nsqd does, and misbehaves on demand: what a real node does not do when asked.
type standIn struct {
	listener net.Listener
	// verdict decides on a published body: the answer's error text, "" for OK, "hang up" to close instead.
	verdict func(body string) string

	mu struct {
		sync.Mutex
		got         []string // bodies answered OK
		connections int
	}
	serving sync.WaitGroup
}

func startStandIn(t *testing.T, verdict func(string) string) *standIn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{listener: listener, verdict: verdict}
	s.serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.mu.connections++
			s.mu.Unlock()
			s.serving.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { listener.Close(); s.serving.Wait() })
	return s
}

func (s *standIn) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	in.Discard(4)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if command != "IDENTIFY" && command != "PUB" {
			continue
		}
		var size uint32
		if binary.Read(in, binary.BigEndian, &size) != nil {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		answer := ""
		if command == "PUB" {
			answer = s.verdict(string(body))
		}
		switch answer {
		case "hang up":
			return
		case "":
			if command == "PUB" {
				s.mu.Lock()
				s.mu.got = append(s.mu.got, string(body))
				s.mu.Unlock()
			}
			writeFrame(c, 0, "OK")
		default:
			writeFrame(c, 1, answer)
			return
		}
	}
}

func writeFrame(w io.Writer, kind uint32, data string) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(data)))
	frame = binary.BigEndian.AppendUint32(frame, kind)
	w.Write(append(frame, data...))
}

func (s *standIn) got() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, body := range s.mu.got {
		counts[body]++
	}
	return counts
}

func accept(string) string { return "" }

func options(t *testing.T, servers ...*standIn) Options {
	t.Helper()
	o := DefaultOptions()
	o.Topic = "t"
	o.Logger = slog.New(slog.DiscardHandler)
	o.Meter.Logger = o.Logger
	for _, s := range servers {
		o.Addresses = append(o.Addresses, s.listener.Addr().String())
	}
	var err error
	if o.Config, err = tools.NewConfig("to_nsq", nil); err != nil {
		t.Fatal(err)
	}
	return o
}

func numbered(n int) (string, []string) {
	var b strings.Builder
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("line %d", i))
		fmt.Fprintln(&b, lines[i])
	}
	return b.String(), lines
}

func TestEveryRecordReachesEveryDestination(t *testing.T) {
	a, b := startStandIn(t, accept), startStandIn(t, accept)
	text, lines := numbered(5000)
	totals, err := Run(context.Background(), strings.NewReader(text), options(t, a, b))
	if err != nil {
		t.Fatal(err)
	}
	if totals.Records != 5000 || totals.Destinations[0].Acknowledged != 5000 || totals.Destinations[1].Acknowledged != 5000 {
		t.Errorf("totals %+v", totals)
	}
	for _, s := range []*standIn{a, b} {
		got := s.got()
		for _, line := range lines {
			if got[line] != 1 {
				t.Fatalf("%q arrived %d times", line, got[line])
			}
		}
	}
}

func TestLastRecordWithoutDelimiterIsWhole(t *testing.T) {
	s := startStandIn(t, accept)
	if _, err := Run(context.Background(), strings.NewReader("first\n\nlast"), options(t, s)); err != nil {
		t.Fatal(err)
	}
	if got := s.got(); len(got) != 2 || got["first"] != 1 || got["last"] != 1 {
		t.Errorf("got %v", got)
	}
}

func TestRecordsUnderWayAtALostConnectionArePublishedAgain(t *testing.T) {
	var mu sync.Mutex
	seen := 0
	s := startStandIn(t, func(string) string {
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == 500 || seen == 1200 {
			return "hang up"
		}
		return ""
	})
	text, lines := numbered(2000)
	totals, err := Run(context.Background(), strings.NewReader(text), options(t, s))
	if err != nil {
		t.Fatal(err)
	}
	got := s.got()
	for _, line := range lines {
		if got[line] == 0 {
			t.Fatalf("%q is lost", line)
		}
	}
	s.mu.Lock()
	connections := s.mu.connections
	s.mu.Unlock()
	if totals.Destinations[0].Repeated == 0 || connections < 3 {
		t.Errorf("no reconnect took place: %+v, %d connections", totals, connections)
	}
}

func TestRefusedRecordFailsTheRunButNotTheOthers(t *testing.T) {
	s := startStandIn(t, func(body string) string {
		if body == "line 7" {
			return "E_BAD_MESSAGE PUB message too big"
		}
		return ""
	})
	text, _ := numbered(20)
	totals, err := Run(context.Background(), strings.NewReader(text), options(t, s))
	if err == nil || !strings.Contains(err.Error(), "1 of 20 records not acknowledged") || !strings.Contains(err.Error(), "E_BAD_MESSAGE") {
		t.Errorf("got %v", err)
	}
	if got := totals.Destinations[0]; got.Acknowledged != 19 || got.Refused != 1 {
		t.Errorf("totals %+v", got)
	}
}

func TestAnNsqdNamedTwiceGetsEachRecordOnce(t *testing.T) {
	s := startStandIn(t, accept)
	text, _ := numbered(20)
	o := options(t, s)
	o.Addresses = append(o.Addresses, o.Addresses...)
	totals, err := Run(context.Background(), strings.NewReader(text), o)
	if err != nil || len(totals.Destinations) != 1 || totals.Destinations[0].Acknowledged != 20 {
		t.Errorf("got %+v, %v", totals, err)
	}
}

func TestUnreachableDestinationIsGivenUpAndReported(t *testing.T) {
	reachable := startStandIn(t, accept)
	o := options(t, reachable)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	o.Addresses = append(o.Addresses, gone.Addr().String())
	o.GiveUp = 200 * time.Millisecond
	text, _ := numbered(300)
	totals, err := Run(context.Background(), strings.NewReader(text), o)
	if err == nil || !strings.Contains(err.Error(), "300 of 300 records not acknowledged by "+gone.Addr().String()) {
		t.Errorf("got %v", err)
	}
	if totals.Destinations[0].Acknowledged != 300 || totals.Destinations[1].Unanswered != 300 {
		t.Errorf("totals %+v", totals)
	}
}

func TestEndOfContextFinishesWhatWasRead(t *testing.T) {
	s := startStandIn(t, accept)
	in, feed := io.Pipe()
	defer feed.Close()
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.WriteString(feed, "one\ntwo\n")
		for len(s.got()) < 2 {
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	totals, err := Run(ctx, in, options(t, s))
	if err != nil || totals.Records != 2 || totals.Destinations[0].Acknowledged != 2 {
		t.Errorf("got %+v, %v", totals, err)
	}
}

func TestRateSpacesRecords(t *testing.T) {
	s := startStandIn(t, accept)
	o := options(t, s)
	o.Rate = 200
	text, _ := numbered(41)
	start := time.Now()
	if _, err := Run(context.Background(), strings.NewReader(text), o); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 190*time.Millisecond {
		t.Errorf("41 records at 200/s took %s, want 200ms", d)
	}
}

func TestRecordLongerThanTheLimitIsRefused(t *testing.T) {
	endless := io.LimitReader(zeros{}, MaxRecordBytes+100)
	_, err := readRecord(bufio.NewReader(endless), '\n')
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRecordsOwnTheirMemory(t *testing.T) {
	source := bufio.NewReaderSize(strings.NewReader("aaaa\nbbbb\n"), 16)
	first, _ := readRecord(source, '\n')
	readRecord(source, '\n')
	if !bytes.Equal(first, []byte("aaaa")) {
		t.Errorf("first record became %q", first)
	}
}
