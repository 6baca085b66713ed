//go:build process

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// node is a machine that runs weir, with any number of runs one after the other. One goroutine starts and ends them; the others may ask
// it anything at any time.
type node struct {
	id      catalog.NodeID // also its machine's number on the wire
	host    string
	dir     string
	machine *machine
	flags   []string
	key     string

	mu struct {
		sync.Mutex
		process *proc.Process // nil while none should run
		crash   string        // why a run ended that should not have
		logs    strings.Builder
	}
}

func (n *node) tcp() string    { return net.JoinHostPort(n.host, "4150") }
func (n *node) http() string   { return net.JoinHostPort(n.host, "4151") }
func (n *node) lookup() string { return net.JoinHostPort(n.host, "4161") }

// start begins a run and does not wait until it is ready.
func (n *node) start() error {
	args := append([]string{"serve", "--listen", n.host, "--data-path", n.dir}, n.flags...)
	var p *proc.Process
	err := n.machine.do(func() (err error) {
		p, err = proc.Start(proc.Spec{Path: weirBinary, Args: args, Env: []string{"WEIR_CLUSTER_KEY=" + n.key}, DieWithThread: true})
		return err
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.mu.process = p
	n.mu.Unlock()
	go n.watch(p)
	return nil
}

// watch notes a run's end that nobody asked for.
func (n *node) watch(p *proc.Process) {
	<-p.Done()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.process == p {
		n.mu.crash = fmt.Sprintf("node %d ended by itself, exit code %d", n.id, p.ExitCode())
	}
}

// take ends the responsibility for the run: from here on its end is expected. It returns nil if there is none.
func (n *node) take() *proc.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.mu.process
	n.mu.process = nil
	return p
}

func (n *node) keepLog(p *proc.Process, how string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(&n.mu.logs, "%s-- %s at %s\n", p.Output(), how, time.Now().UTC().Format("15:04:05.000"))
}

// kill ends the run with kill -9.
func (n *node) kill() {
	if p := n.take(); p != nil {
		p.Kill()
		n.keepLog(p, "killed")
	}
}

// stop ends the run with SIGTERM.
func (n *node) stop(patience time.Duration) error {
	p := n.take()
	if p == nil {
		return nil
	}
	err := p.Terminate(patience)
	n.keepLog(p, "stopped")
	return err
}

func (n *node) running() bool { return n.process() != nil }

func (n *node) process() *proc.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.process
}

func (n *node) signal(s syscall.Signal) error {
	if p := n.process(); p != nil {
		return p.Signal(s)
	}
	return nil
}

// log returns what all runs have written, shortened by the process's own limit.
func (n *node) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.mu.logs.String()
	if n.mu.process != nil {
		text += n.mu.process.Output()
	}
	return text
}

// fault returns what no log may show: a run that ended by itself, a panic, a race.
func (n *node) fault() string {
	n.mu.Lock()
	crash := n.mu.crash
	n.mu.Unlock()
	if crash != "" {
		return crash
	}
	for line := range strings.Lines(n.log()) {
		for _, sign := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if strings.HasPrefix(line, sign) || strings.Contains(line, sign+" ") {
				return fmt.Sprintf("node %d logs %q", n.id, strings.TrimSpace(line))
			}
		}
	}
	return ""
}

// askPatience bounds one question to a node.
const askPatience = time.Second

// client keeps no connection: it would be one of a run that is gone.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// view asks the node for the cluster as it sees it.
func (n *node) view() (view api.Cluster, err error) {
	body, status, err := n.request(http.MethodGet, "/v1/cluster", "", askPatience)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/v1/cluster answers %d", status)
	}
	if err != nil {
		return view, err
	}
	return view, json.Unmarshal(body, &view)
}

// ready tells whether the node serves.
func (n *node) ready() bool {
	_, status, err := n.request(http.MethodGet, "/ping", "", askPatience)
	return err == nil && status == http.StatusOK
}

func (n *node) request(method, path, body string, patience time.Duration) ([]byte, int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.http()+path, strings.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return text, answer.StatusCode, err
}
