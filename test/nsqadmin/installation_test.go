//go:build process

package nsqadmin

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

var binaries struct{ weir, nsqd, nsqlookupd, nsqadmin string }

func TestMain(m *testing.M) {
	os.Exit(proc.Main(m, func(dir string) (err error) {
		binaries.weir, err = proc.Build(dir)
		for program, path := range map[string]*string{"nsqd": &binaries.nsqd, "nsqlookupd": &binaries.nsqlookupd, "nsqadmin": &binaries.nsqadmin} {
			if err == nil {
				*path, err = proc.Stock(dir, program)
			}
		}
		return err
	}))
}

// installation is two stock nsqd, a Weir node, the stock nsqlookupd that knows them, and both admin pages over it.
type installation struct {
	t                    *testing.T
	lookup               string
	nsqds                []*daemon
	weir                 *daemon
	stockAdmin, weirPage string
}

// daemon is a running program, with the address of its HTTP API.
type daemon struct {
	*proc.Process
	http string
}

func address(t *testing.T) string {
	t.Helper()
	address, err := proc.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// start runs a program until the test ends, and waits until it answers.
func start(t *testing.T, http, path string, args ...string) *daemon {
	t.Helper()
	p, err := proc.Start(proc.Spec{Path: path, Args: args, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			out := p.Output()
			t.Logf("%s %v:\n%s", path, args, out[max(0, len(out)-2000):])
		}
	})
	eventually(t, path+" is up", func() bool { status, _ := call("GET", "http://"+http+"/ping", ""); return status == 200 })
	return &daemon{p, http}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 400 {
		if is() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("not within 10 s: %s", what)
}

var client = &http.Client{Timeout: 10 * time.Second}

func call(method, url, body string) (int, string) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func install(t *testing.T) *installation {
	t.Helper()
	i := &installation{t: t, lookup: address(t)}
	lookupTCP := address(t)
	start(t, i.lookup, binaries.nsqlookupd, "-tcp-address", lookupTCP, "-http-address", i.lookup)
	for range 2 {
		http := address(t)
		i.nsqds = append(i.nsqds, start(t, http, binaries.nsqd, "-data-path", t.TempDir(), "-tcp-address", address(t), "-http-address", http,
			"-lookupd-tcp-address", lookupTCP, "-broadcast-address", "127.0.0.1"))
	}
	http := address(t)
	i.weir = start(t, http, binaries.weir, "nsqd", "--data-path", t.TempDir(), "--tcp-address", address(t), "--http-address", http,
		"--lookupd-tcp-address", lookupTCP, "--broadcast-address", "127.0.0.1")
	i.stockAdmin, i.weirPage = address(t), address(t)
	start(t, i.stockAdmin, binaries.nsqadmin, "-http-address", i.stockAdmin, "-lookupd-http-address", i.lookup)
	start(t, i.weirPage, binaries.weir, "nsqadmin", "-http-address", i.weirPage, "-lookupd-http-address", i.lookup)
	eventually(t, "three nodes are known", func() bool {
		_, nodes := i.ask(i.weirPage, "/api/nodes")
		list, _ := nodes["nodes"].([]any)
		return len(list) == 3
	})
	return i
}

func (i *installation) ask(page, path string) (int, map[string]any) {
	status, text := call("GET", "http://"+page+path, "")
	var value map[string]any
	json.Unmarshal([]byte(text), &value)
	return status, value
}

// must sends a request that has to succeed.
func (i *installation) must(method, url, body string) {
	i.t.Helper()
	if status, text := call(method, "http://"+url, body); status != 200 {
		i.t.Fatalf("%s %s: %d %s", method, url, status, text)
	}
}
