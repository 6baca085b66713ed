//go:build process

package topology

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// readyPatience is how long a daemon may take until /ping answers, and to stop.
const readyPatience = 20 * time.Second

// daemon is an nsqd or nsqlookupd, Weir's or stock: both take the same flags. Addresses and data stay over its runs.
type daemon struct {
	t         *testing.T
	name      string // for the log
	path      string
	args      []string
	tcp, http string
	process   *proc.Process
	logs      strings.Builder
}

// kind says whose program a daemon is.
type kind string

const (
	weir  kind = "weir"
	stock kind = "stock"
)

// newDaemon prepares a daemon that ends with the test; its log is shown if the test fails.
func newDaemon(t *testing.T, k kind, program, name string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, name: name, path: programs[program], tcp: freeAddress(t), http: freeAddress(t)}
	if k == weir {
		d.path, d.args = programs["weir"], []string{program}
	}
	d.args = append(d.args, "--tcp-address="+d.tcp, "--http-address="+d.http, "--broadcast-address=127.0.0.1")
	d.args = append(d.args, args...)
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("log of %s %s:\n%s", k, d.name, d.logs.String())
		}
	})
	return d
}

// startLookups runs lookup services.
func startLookups(t *testing.T, k kind, n int) []*daemon {
	t.Helper()
	var all []*daemon
	for i := range n {
		d := newDaemon(t, k, "nsqlookupd", fmt.Sprint("lookup ", i+1))
		d.start()
		all = append(all, d)
	}
	return all
}

// newBroker prepares a broker that registers with lookup services.
func newBroker(t *testing.T, k kind, name string, lookups []*daemon, args ...string) *daemon {
	t.Helper()
	for _, l := range lookups {
		args = append(args, "--lookupd-tcp-address="+l.tcp)
	}
	return newDaemon(t, k, "nsqd", name, append(args, "--data-path="+t.TempDir())...)
}

func (d *daemon) start() {
	d.t.Helper()
	p, err := proc.Start(proc.Spec{Path: d.path, Args: d.args})
	if err != nil {
		d.t.Fatal(err)
	}
	d.process = p
	eventually(d.t, readyPatience, d.name+" answers /ping", func() bool {
		select {
		case <-p.Done():
			d.t.Fatalf("%s ended:\n%s", d.name, p.Output())
		default:
		}
		text, _ := tryGet("http://" + d.http + "/ping")
		return text == "OK"
	})
}

// kill ends the run with kill -9.
func (d *daemon) kill() {
	if d.process != nil {
		d.process.Kill()
		fmt.Fprintf(&d.logs, "%s-- killed\n", d.process.Output())
		d.process = nil
	}
}

// stop ends the run gracefully.
func (d *daemon) stop() {
	d.t.Helper()
	err := d.process.Terminate(readyPatience)
	fmt.Fprintf(&d.logs, "%s-- stopped\n", d.process.Output())
	d.process = nil
	if err != nil {
		d.t.Fatal(err)
	}
}

// get returns the body of an HTTP answer, whatever its status.
func (d *daemon) get(path string) string {
	d.t.Helper()
	text, err := tryGet("http://" + d.http + path)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// post sends a POST that has to be answered 200.
func (d *daemon) post(path, body string) {
	d.t.Helper()
	resp, err := http.Post("http://"+d.http+path, "", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		d.t.Fatalf("POST %s: %s %s", path, resp.Status, text)
	}
}

var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func tryGet(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
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

// portOf returns the port of an address.
func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// freeze stops the daemon's threads until thaw.
func freeze(t *testing.T, d *daemon) {
	t.Helper()
	if err := d.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

func thaw(t *testing.T, d *daemon) {
	t.Helper()
	if err := d.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
