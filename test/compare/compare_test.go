package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written writes measurements to a file, as a run does.
func written(t *testing.T, measurements ...measurement) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raw.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, m := range measurements {
		if err := json.NewEncoder(file).Encode(m); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestReportShowsMediansOfAllFilesAndTheirRatios(t *testing.T) {
	a := written(t,
		measurement{Server: "weir-os", Load: "pub_1c_w100", Rate: 3e5, Messages: 100, Syncs: 4, RSSBytes: 50 << 20},
		measurement{Server: "weir-os", Load: "pub_1c_w100", Rate: 1e5, Messages: 100, Syncs: 4},
		measurement{Server: baseline, Load: "pub_1c_w100", Rate: 1e5},
		measurement{Server: null, Load: "pub_1c_w100", Rate: 8e5},
		measurement{Server: "redis-always", Load: "pub_1c_w100", Error: "broken"},
		measurement{Server: "weir-os", Load: "lat1k_default", Rate: 1000, P50: 200, P99: 900},
		measurement{Server: baseline, Load: "lat1k_default", Rate: 1000, P50: 20_000})
	b := written(t, measurement{Server: "weir-os", Load: "pub_1c_w100", Rate: 2e5, Messages: 100, Syncs: 5})
	var out strings.Builder
	if err := compare(context.Background(), settings{loads: "pub_1c_w100,lat1k_default", from: a + "," + b}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| load | weir-os | nsqd-memory | null | redis-always |",
		"| pub_1c_w100 | 200 k (2.00) | 100 k (1.00) | 800 k (8.00) | failed |",
		"| lat1k_default | 0.20 ms (0.01) | 20.00 ms (1.00) | – | – |",
		"| weir-os | 200 k (100 k – 300 k) | 2.00 | 0.25 | – | – |",
		"| 25.0 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	for want, s := range map[string]settings{`load "x"`: {loads: "x"}, `server "y"`: {servers: "y"}} {
		if err := compare(context.Background(), s, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRedisRepliesAreRead(t *testing.T) {
	text := "*1\r\n*2\r\n$5\r\nbench\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nb\r\n$3\r\none\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nb\r\n$3\r\ntwo\r\n" +
		"*-1\r\n:3\r\n-ERR no\r\n"
	conn := redisConn{in: bufio.NewReader(strings.NewReader(text))}
	reply, err := conn.reply()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	eachEntry(reply, func(id string, body []byte) { got = append(got, id+" "+string(body)) })
	if strings.Join(got, ",") != "1-0 one,2-0 two" {
		t.Errorf("got %q", got)
	}
	if reply, err := conn.reply(); reply != nil || err != nil {
		t.Errorf("nothing new: %v, %v", reply, err)
	}
	if reply, err := conn.reply(); reply != 3 || err != nil {
		t.Errorf("a number: %v, %v", reply, err)
	}
	if _, err := conn.reply(); err == nil || err.Error() != "ERR no" {
		t.Errorf("an error: %v", err)
	}
}

// memoryPeer is a client of a queue in memory that keeps what fits; it may lose every tenth message.
type memoryPeer struct {
	queue chan []byte
	leaky bool
}

func (p *memoryPeer) open() error                   { p.queue = make(chan []byte, backlog); return nil }
func (p *memoryPeer) drop() error                   { return nil }
func (p *memoryPeer) close()                        {}
func (p *memoryPeer) publisher() (publisher, error) { return p, nil }

func (p *memoryPeer) publish(body []byte) error {
	select {
	case p.queue <- body:
	default:
	}
	return nil
}

func (p *memoryPeer) pipeline(_ int, next func() []byte) (n int64, err error) {
	for body := next(); body != nil; body = next() {
		if n++; !p.leaky || n%10 != 0 {
			_ = p.publish(body)
		}
	}
	return n, nil
}

func (p *memoryPeer) consume(handle func([]byte)) (func(), error) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case body := <-p.queue:
				handle(body)
			case <-stop:
				return
			}
		}
	}()
	return func() { close(stop); <-done }, nil
}

func TestEveryLoadCanBePutOnAPeer(t *testing.T) {
	for _, l := range loads() {
		if !(&peer{}).can(l) {
			continue
		}
		m, err := drive(&memoryPeer{}, l, 50*time.Millisecond)
		if err != nil || m.Rate <= 0 || m.Messages == 0 {
			t.Errorf("%s: %+v, %v", l.name, m, err)
		}
		if l.rate > 0 && (m.Messages < int64(l.rate)*50/1000-1 || m.Messages > int64(l.rate)*50/1000+1) {
			t.Errorf("%s: %d messages in 50 ms", l.name, m.Messages)
		}
	}
}

func TestWhatAPeerLosesIsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until nothing more comes")
	}
	all, err := chosen("e2e_pub_w100")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drive(&memoryPeer{leaky: true}, all[0], 20*time.Millisecond); err == nil {
		t.Error("a tenth of the messages was lost, and nobody says so")
	}
}
