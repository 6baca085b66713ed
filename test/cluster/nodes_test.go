//go:build process

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// weirBinary is the weir under test, set by TestMain.
var weirBinary string

func TestMain(m *testing.M) {
	os.Exit(proc.Main(m, proc.Weir(&weirBinary)))
}

// nodes is a cluster of processes, each with a loopback address of its own and NSQ's ports.
type nodes struct {
	t     *testing.T
	list  []*clusterNode
	flags []string
}

type clusterNode struct {
	id      catalog.NodeID
	host    string
	dir     string
	process *proc.Process
	logs    strings.Builder
}

func (n *clusterNode) tcp() string    { return net.JoinHostPort(n.host, "4150") }
func (n *clusterNode) http() string   { return net.JoinHostPort(n.host, "4151") }
func (n *clusterNode) lookup() string { return net.JoinHostPort(n.host, "4161") }

// startNodes starts a cluster and waits until it is formed. Its logs are shown if the test fails.
func startNodes(t *testing.T, count int, flags ...string) *nodes {
	t.Helper()
	ns := &nodes{t: t, flags: flags}
	net := 1 + rand.IntN(250)
	var join []string
	for i := range count {
		n := &clusterNode{id: catalog.NodeID(i + 1), host: fmt.Sprintf("127.77.%d.%d", net, i+1), dir: filepath.Join(t.TempDir(), "data")}
		ns.list = append(ns.list, n)
		join = append(join, n.host)
	}
	ns.flags = append(ns.flags, "--join", strings.Join(join, ","))
	t.Cleanup(func() {
		for _, n := range ns.list {
			ns.kill(n)
			if t.Failed() {
				t.Logf("log of node %d:\n%s", n.id, tail(n.logs.String(), 6000))
			}
		}
	})
	for _, n := range ns.list {
		ns.launch(n)
	}
	for _, n := range ns.list {
		ns.awaitReady(n)
	}
	return ns
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// launch starts a node's process and does not wait.
func (ns *nodes) launch(n *clusterNode) {
	ns.t.Helper()
	args := append([]string{"serve", "--listen", n.host, "--data-path", n.dir}, ns.flags...)
	p, err := proc.Start(proc.Spec{Path: weirBinary, Args: args})
	if err != nil {
		ns.t.Fatal(err)
	}
	n.process = p
}

// start is launch, waited for.
func (ns *nodes) start(n *clusterNode) {
	ns.t.Helper()
	ns.launch(n)
	ns.awaitReady(n)
}

var client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (ns *nodes) awaitReady(n *clusterNode) {
	ns.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if answer, err := client.Get("http://" + n.http() + "/ping"); err == nil {
			answer.Body.Close()
			return
		}
		select {
		case <-n.process.Done():
			ns.t.Fatalf("node %d ended:\n%s", n.id, n.process.Output())
		default:
		}
		if time.Now().After(end) {
			ns.t.Fatalf("node %d is not ready:\n%s", n.id, n.process.Output())
		}
	}
}

// kill ends a node with kill -9.
func (ns *nodes) kill(n *clusterNode) {
	if n.process == nil {
		return
	}
	n.process.Kill()
	n.keepLog("killed")
}

// stop ends a node with SIGTERM.
func (ns *nodes) stop(n *clusterNode) {
	ns.t.Helper()
	if err := n.process.Terminate(20 * time.Second); err != nil {
		ns.t.Errorf("node %d: %v", n.id, err)
	}
	n.keepLog("stopped")
}

func (n *clusterNode) keepLog(how string) {
	fmt.Fprintf(&n.logs, "%s-- %s\n", n.process.Output(), how)
	n.process = nil
}

// view asks a node for the cluster as it sees it.
func (n *clusterNode) view() (view api.Cluster, err error) {
	answer, err := client.Get("http://" + n.http() + "/v1/cluster")
	if err != nil {
		return view, err
	}
	defer answer.Body.Close()
	return view, json.NewDecoder(answer.Body).Decode(&view)
}

// leaders returns who leads the partitions of a topic as a node sees it, 0 where it knows of nobody.
func (n *clusterNode) leaders(topic string) (map[uint16]catalog.NodeID, error) {
	view, err := n.view()
	if err != nil {
		return nil, err
	}
	leaders := make(map[uint16]catalog.NodeID)
	for _, p := range view.Partitions {
		if p.Topic == topic {
			leaders[p.Partition] = p.Leader
		}
	}
	return leaders, nil
}

// awaitSpread waits until each partition of the topic is led by the node that should, or any node with spread == false.
func (ns *nodes) awaitLed(topic string, preferred bool, at *clusterNode, patience time.Duration) time.Duration {
	ns.t.Helper()
	begun := time.Now()
	for ; ; time.Sleep(2 * time.Millisecond) {
		view, err := at.view()
		led, all := 0, 0
		for _, p := range view.Partitions {
			if p.Topic != topic {
				continue
			}
			all++
			if p.Leader != 0 && (!preferred || p.Leader == p.Preferred) {
				led++
			}
		}
		if err == nil && all > 0 && led == all {
			return time.Since(begun)
		}
		if time.Since(begun) > patience {
			ns.t.Fatalf("after %v node %d sees %d of %d partitions of %s led: %+v %v", patience, at.id, led, all, topic, view.Partitions, err)
		}
	}
}

// post sends a POST to a node and fails the test unless the answer is 200.
func (ns *nodes) post(n *clusterNode, path, body string) {
	ns.t.Helper()
	if err := post(n, path, body); err != nil {
		ns.t.Fatal(err)
	}
}

func post(n *clusterNode, path, body string) error {
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Post("http://"+n.http()+path, "application/octet-stream", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return errors.New(path + ": " + answer.Status + " " + string(text))
	}
	return nil
}
