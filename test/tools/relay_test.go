//go:build process

package tools

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// A target answers 500 for a while and then recovers: each message arrives, and none is finished before.
func TestHTTPTargetThatRecoversGetsEveryMessage(t *testing.T) {
	eachBroker(t, func(t *testing.T, b *proc.Broker) {
		var mu sync.Mutex
		got, broken, asked := map[string]int{}, true, 0
		target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			asked++
			if broken {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			got[string(body)]++
		}))
		defer target.Close()
		publish(t, b, "t", "m", 0, 200)
		p := startTool(t, "nsq_to_http", "--topic=t", "--channel=c", "--nsqd-tcp-address="+b.TCP(), "--post="+target.URL, "--json",
			"--consumer-opt=default_requeue_delay,10ms", "--consumer-opt=max_requeue_delay,50ms",
			"--consumer-opt=backoff_multiplier,10ms", "--consumer-opt=max_backoff_duration,50ms")
		eventually(t, "requests fail", func() bool { mu.Lock(); defer mu.Unlock(); return asked > 20 })
		if n := left(t, b, "t", "c"); n != 200 {
			t.Errorf("%d of 200 messages are left while the target fails", n)
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		eventually(t, "c is empty", func() bool { return left(t, b, "t", "c") == 0 })
		must(t, p.Terminate(patience))
		mu.Lock()
		defer mu.Unlock()
		if len(got) != 200 {
			t.Errorf("%d messages arrived", len(got))
		}
		lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
		var totals struct {
			Msg    string
			Done   int
			Failed int
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &totals); err != nil || totals.Msg != "totals" || totals.Done != 200 || totals.Failed < 20 {
			t.Errorf("the last line is %s", lines[len(lines)-1])
		}
	})
}

// nsq_to_nsq's destination is killed and comes again: each message arrives.
func TestNSQToNSQOutlivesItsDestination(t *testing.T) {
	eachBroker(t, func(t *testing.T, from *proc.Broker) {
		const messages = 5000
		to := startBroker(t, weirNsqd(t, t.TempDir())) // a stock nsqd would lose what it had in memory
		post(t, to, "/topic/create?topic=t", "")
		post(t, to, "/channel/create?topic=t&channel=c", "")
		startTool(t, "nsq_to_nsq", "--topic=t", "--nsqd-tcp-address="+from.TCP(), "--destination-nsqd-tcp-address="+to.TCP(),
			"--consumer-opt=default_requeue_delay,10ms", "--consumer-opt=max_requeue_delay,50ms",
			"--consumer-opt=backoff_multiplier,10ms", "--consumer-opt=max_backoff_duration,50ms")
		publish(t, from, "t", "m", 0, messages/2)
		eventually(t, "some arrive", func() bool { return left(t, to, "t", "c") > 100 })
		must(t, to.Kill())
		publish(t, from, "t", "m", messages/2, messages)
		_, err := to.Start()
		must(t, err)
		eventually(t, "all are passed on", func() bool { return left(t, from, "t", "nsq_to_nsq") == 0 })
		p := startTool(t, "nsq_tail", "--topic=t", "--channel=c", "--nsqd-tcp-address="+to.TCP())
		eventually(t, "all are shown", func() bool { return left(t, to, "t", "c") == 0 })
		must(t, p.Terminate(patience))
		counts := map[string]int{}
		for line := range strings.Lines(p.Output()) {
			counts[line]++
		}
		if m := missing(counts, messages); m != "" {
			t.Errorf("%q has not arrived", m)
		}
	})
}

// Each tool of Weir and of NSQ does the same with the same messages.
func TestBothToolsDoTheSame(t *testing.T) {
	eachBroker(t, func(t *testing.T, b *proc.Broker) {
		sides := map[string]string{}
		run := func(tool, who string, wait func(), args ...string) string {
			path := stock(t, tool)
			if who == "weir" {
				path, args = weirBinary, append([]string{tool}, args...)
			}
			p := startProgram(t, path, args...)
			if wait == nil {
				must(t, p.Wait(patience))
				return p.Output()
			}
			wait()
			must(t, p.Terminate(patience))
			return p.Output()
		}
		for _, who := range []string{"weir", "stock"} {
			in := "in-" + who
			for _, body := range []string{`{"a":1,"b":"x"}`, `not JSON`, `{"a":2,"b":"y","c":[1]}`, `{"b":"x","a":1.5,"d":null}`, `{"b":5}`} {
				post(t, b, "/pub?topic="+in, body)
			}
			out := "out-" + who
			post(t, b, "/topic/create?topic="+out, "")
			post(t, b, "/channel/create?topic="+out+"&channel=shown", "")
			run("nsq_to_nsq", who, func() {
				eventually(t, "all are passed on", func() bool { return left(t, b, in, "nsq_to_nsq") == 0 })
			}, "--topic="+in, "--destination-topic="+out, "--nsqd-tcp-address="+b.TCP(), "--destination-nsqd-tcp-address="+b.TCP(),
				"--require-json-field=b", "--require-json-value=x", "--whitelist-json-field=a", "--whitelist-json-field=d", "--max-in-flight=1")
			eventually(t, "two have arrived", func() bool { return left(t, b, out, "shown") == 2 })
			stat := run("nsq_stat", who, nil, "--topic="+out, "--channel=shown", "--nsqd-http-address="+b.HTTP(), "--interval=100ms", "--count=1")
			shown := run("nsq_tail", who, nil, "--topic="+out, "--channel=shown", "--nsqd-tcp-address="+b.TCP(), "--n=2", "--print-topic",
				"--consumer-opt=max_in_flight,1")
			var lines []string
			for line := range strings.Lines(shown) {
				if strings.HasPrefix(line, out+" | ") {
					lines = append(lines, strings.TrimPrefix(line, out))
				}
			}
			sides[who] = fmt.Sprintf("%s%q", stat, lines)
		}
		if sides["weir"] != sides["stock"] || !strings.Contains(sides["weir"], `{\"a\":1}`) {
			t.Errorf("weir's tools:\n%s\nstock's:\n%s", sides["weir"], sides["stock"])
		}
	})
}

// The tools find brokers by stock nsqlookupd and by Weir's.
func TestToolsFindBrokersByLookup(t *testing.T) {
	for _, who := range []string{"weir", "stock"} {
		t.Run(who, func(t *testing.T) {
			addresses := [2]string{freeAddress(t), freeAddress(t)}
			args := []string{"--tcp-address=" + addresses[0], "--http-address=" + addresses[1], "--broadcast-address=127.0.0.1"}
			path := stock(t, "nsqlookupd")
			if who == "weir" {
				path, args = weirBinary, append([]string{"nsqlookupd"}, args...)
			}
			startProgram(t, path, args...)
			eventually(t, "nsqlookupd is up", func() bool {
				resp, err := http.Get("http://" + addresses[1] + "/ping")
				if err != nil {
					return false
				}
				resp.Body.Close()
				return true
			})
			b := stockNsqd(t, t.TempDir(), "--lookupd-tcp-address="+addresses[0], "--broadcast-address=127.0.0.1")
			startBroker(t, b)
			publish(t, b, "orders.a", "m", 0, 10)
			eventually(t, "the topic is known", func() bool {
				resp, err := http.Get("http://" + addresses[1] + "/lookup?topic=orders.a")
				if err != nil {
					return false
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				return strings.Contains(string(text), "tcp_port")
			})
			out := t.TempDir()
			p := startTool(t, "nsq_to_file", "--topic-pattern=^orders", "--lookupd-http-address="+addresses[1], "--output-dir="+out,
				"--filename-format=<TOPIC>", "--skip-empty-files", "--topic-refresh=100ms")
			eventually(t, "the file", func() bool { return strings.Count(plain(out+"/orders.a"), "\n") == 10 })
			must(t, p.Terminate(patience))
			stat := startTool(t, "nsq_stat", "--topic=orders.a", "--channel=nsq_to_file", "--lookupd-http-address="+addresses[1],
				"--count=1", "--interval=10ms")
			must(t, stat.Wait(patience))
			if !strings.Contains(stat.Output(), " 10 ") {
				t.Errorf("nsq_stat shows\n%s", stat.Output())
			}
		})
	}
}

// Linked under its name, the binary is the tool.
func TestALinkIsTheTool(t *testing.T) {
	b := startBroker(t, weirNsqd(t, t.TempDir()))
	publish(t, b, "t", "m", 0, 2)
	link := t.TempDir() + "/nsq_tail"
	must(t, os.Symlink(weirBinary, link))
	p := startProgram(t, link, "--topic=t", "--channel=c", "--nsqd-tcp-address="+b.TCP(), "-n", "2")
	must(t, p.Wait(patience))
	if !strings.HasPrefix(p.Output(), "m 0\nm 1\n") {
		t.Errorf("got %q", p.Output())
	}
}
