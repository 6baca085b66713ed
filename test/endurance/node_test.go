//go:build process

package endurance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/api"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// node is a weir process with a loopback address of its own, NSQ's ports, and an admin page.
type node struct {
	*proc.Broker
	host string
}

func (n *node) admin() string { return n.host + ":4171" }

// startNodes starts a lone node, or a cluster, and waits until it answers. Logs are shown if the test fails.
func startNodes(t *testing.T, count int) []*node {
	t.Helper()
	var nodes []*node
	var hosts []string
	network := 1 + os.Getpid()%125*2 + min(count-1, 1) // a lone node and a cluster run side by side
	for i := range count {
		n := &node{host: fmt.Sprintf("127.78.%d.%d", network, i+1)}
		b, err := proc.NewBroker(weirBinary, filepath.Join(t.TempDir(), "data"), "--retain", "0s", "--mem-limit", "128MiB", "--cache-size", "4MiB")
		if err != nil {
			t.Fatal(err)
		}
		b.Command = []string{"serve", "--listen", n.host}
		b.Listen(n.host+":4150", n.host+":4151")
		n.Broker = b
		nodes, hosts = append(nodes, n), append(hosts, n.host)
		t.Cleanup(func() {
			b.Kill()
			if log := b.Log(); t.Failed() {
				t.Logf("log of %s:\n%s", n.host, log[max(0, len(log)-6000):])
			}
		})
	}
	for _, n := range nodes {
		if count > 1 {
			n.Args = append(n.Args, "--join", strings.Join(hosts, ","))
		}
		if err := n.Launch(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		n.awaitReady(t)
	}
	return nodes
}

// awaitReady waits until the node is healthy.
func (n *node) awaitReady(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); n.Ping() != nil; time.Sleep(5 * time.Millisecond) {
		select {
		case <-n.Process().Done():
			t.Fatalf("%s ended by itself:\n%s", n.host, n.Process().Output())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not ready: %v", n.host, n.Ping())
		}
	}
}

// post sends a POST to the HTTP API.
func (n *node) post(path, body string) error {
	return finish(client.Post("http://"+n.HTTP()+path, "application/octet-stream", strings.NewReader(body)))
}

var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Second}}

// refusal is an answer other than 200.
type refusal string

func (r refusal) Error() string { return string(r) }

func finish(answer *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		return refusal(fmt.Sprintf("%s: %s", answer.Status, text))
	}
	return err
}

// leaders returns who leads the partitions of the topic, and since which term, as the node sees it.
func (n *node) leaders() (string, error) {
	answer, err := client.Get("http://" + n.HTTP() + "/v1/cluster")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var view api.Cluster
	if err := json.NewDecoder(answer.Body).Decode(&view); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, p := range view.Partitions {
		if p.Topic == topic {
			fmt.Fprintf(&text, "%d led by %d since %d; ", p.Partition, p.Leader, p.Term)
		}
	}
	return text.String(), nil
}

// sample is what one node takes at one moment.
type sample struct {
	at          time.Time
	rss         int64 // bytes
	disk        int64 // bytes
	descriptors int64
	goroutines  int64
}

func (n *node) sample() (s sample, err error) {
	s.at = time.Now()
	if s.rss, err = n.Process().RSS(); err != nil {
		return s, err
	}
	if s.descriptors, err = n.Process().Descriptors(); err != nil {
		return s, err
	}
	if s.disk, err = n.DiskBytes(); err != nil && !os.IsNotExist(err) { // files come and go meanwhile
		return s, err
	}
	s.goroutines, err = n.goroutines()
	return s, err
}

// goroutines asks the node's metrics.
func (n *node) goroutines() (int64, error) {
	answer, err := client.Get("http://" + n.HTTP() + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	found := int64(-1)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			if found, err = strconv.ParseInt(value, 10, 64); err != nil {
				return 0, err
			}
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("no go_goroutines among the metrics: %v", lines.Err())
	}
	return found, nil
}
