//go:build process

package topology

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// run starts a stock program that ends with the test.
func run(t *testing.T, program string, args ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(proc.Spec{Path: programs[program], Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("output of stock %s:\n%s", program, p.Output())
		}
	})
	return p
}

// TestStockToolsFindWeir has stock tools find two Weir nodes by Weir's lookup service.
func TestStockToolsFindWeir(t *testing.T) {
	t.Parallel()
	lookup := startLookups(t, weir, 1)
	one, two := newBroker(t, weir, "broker 1", lookup), newBroker(t, weir, "broker 2", lookup)
	one.start()
	two.start()
	for _, b := range []*daemon{one, two} {
		b.post("/topic/create?topic=t", "")
		for _, channel := range []string{"stat", "file", "tail"} {
			b.post("/channel/create?topic=t&channel="+channel, "")
		}
		b.post("/mpub?topic=t", "a\nb\nc")
	}
	eventually(t, 10*time.Second, "both brokers are listed", func() bool { return listed(lookup[0], "t") == 2 })
	address := "--lookupd-http-address=" + lookup[0].http

	t.Run("nsq_stat", func(t *testing.T) {
		p := run(t, "nsq_stat", address, "--topic=t", "--channel=stat", "--interval=100ms", "--count=2")
		if err := p.Wait(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		if out := p.Output(); !strings.Contains(out, " 6 ") { // the depth over both brokers
			t.Errorf("nsq_stat:\n%s", out)
		}
	})
	t.Run("nsq_tail", func(t *testing.T) {
		p := run(t, "nsq_tail", address, "--topic=t", "--channel=tail", "-n=6")
		if err := p.Wait(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{"a", "b", "c"} {
			if n := strings.Count("\n"+p.Output(), "\n"+body+"\n"); n != 2 {
				t.Errorf("%q came %d times:\n%s", body, n, p.Output())
			}
		}
	})
	t.Run("nsq_to_file", func(t *testing.T) {
		dir := t.TempDir()
		p := run(t, "nsq_to_file", address, "--topic=t", "--channel=file", "--output-dir="+dir, "--filename-format=<TOPIC><REV>.log", "--sync-interval=100ms")
		eventually(t, 20*time.Second, "six lines are in the file", func() bool {
			text, _ := os.ReadFile(filepath.Join(dir, "t.log"))
			return strings.Count(string(text), "\n") == 6
		})
		if err := p.Terminate(20 * time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("nsqadmin", func(t *testing.T) { useNsqadmin(t, lookup[0], one, two) })
}

// useNsqadmin does with a stock nsqadmin what a person does.
func useNsqadmin(t *testing.T, lookup, one, two *daemon) {
	admin := "http://" + freeAddress(t)
	run(t, "nsqadmin", "--lookupd-http-address="+lookup.http, "--http-address="+strings.TrimPrefix(admin, "http://"))
	eventually(t, 20*time.Second, "nsqadmin answers", func() bool { text, _ := tryGet(admin + "/ping"); return text == "OK" })
	shows := func(path string, parts ...string) {
		t.Helper()
		var text string
		eventually(t, 10*time.Second, fmt.Sprintf("nsqadmin shows %q at %s", parts, path), func() bool {
			text, _ = tryGet(admin + path)
			for _, part := range parts {
				if !strings.Contains(text, part) {
					return false
				}
			}
			return true
		})
	}
	node := "127.0.0.1:" + portOf(one.http)
	shows("/api/topics", `"topics":["t"]`, `"message":""`)
	shows("/api/topics/t", `"message_count":6`, `"channel_name":"stat"`)
	shows("/api/topics/t/stat", `"depth":6`, node, "127.0.0.1:"+portOf(two.http))
	shows("/api/nodes", `"out_of_date":false`, `"topic":"t","tombstoned":false`, `"version":"1.3.0+weir.`)
	shows("/api/nodes/"+node, `"total_messages":3`)
	shows("/api/counter", `"message_count":3`)

	ask(t, "POST", admin+"/api/topics", `{"topic":"made","channel":"c"}`)
	shows("/api/topics?inactive=true", `"made":["c"]`)
	ask(t, "POST", admin+"/api/topics/t/stat", `{"action":"pause"}`)
	shows("/api/topics/t/stat", `"paused":true`)
	ask(t, "POST", admin+"/api/topics/t/stat", `{"action":"empty"}`)
	shows("/api/topics/t/stat", `"depth":0`)
	ask(t, "DELETE", admin+"/api/nodes/"+node, `{"topic":"t"}`)
	eventually(t, 10*time.Second, "the topic is gone from the first broker", func() bool { return listed(lookup, "t") == 1 })
	ask(t, "DELETE", admin+"/api/topics/t/stat", "")
	ask(t, "DELETE", admin+"/api/topics/t", "")
	ask(t, "DELETE", admin+"/api/topics/made", "")
	shows("/api/topics", `"topics":null`) // as nsqadmin says none
	if got := two.get("/stats?format=json&include_mem=false"); !strings.Contains(got, `"topics":[]`) {
		t.Errorf("the second broker has %s", got)
	}
}

// ask sends a request that has to be answered 200 without a warning.
func ask(t *testing.T, method, url, body string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"message":""`) {
		t.Errorf("%s %s: %s %s", method, url, resp.Status, text)
	}
}
