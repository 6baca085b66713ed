//go:build process

package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/catalog"
)

// topic is the one that all traffic goes to.
const topic = "invoices"

// formPatience is what forming a cluster may take on a busy machine.
const formPatience = 40 * time.Second

// smallDisk is the size of the disk that the last node has, for the scenario that fills it.
const smallDisk = 192 << 20

// cluster is a wire and the nodes on it.
type cluster struct {
	*wire
	nodes []*node // nodes[i] is machine i+1
}

// newCluster makes machines and directories below dir; start begins.
func newCluster(count int, dir string, rng *rand.Rand) (*cluster, error) {
	w, err := newWire(count, rng)
	if err != nil {
		return nil, err
	}
	c := &cluster{wire: w}
	key, err := exec.Command(weirBinary, "cluster", "key").Output()
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("make a cluster key: %w", err)
	}
	var join []string
	for i := range count {
		n := &node{id: catalog.NodeID(i + 1), host: hostAddress(i + 1).String(), machine: w.machines[i+1],
			dir: filepath.Join(dir, fmt.Sprintf("node%d", i+1), "data"), key: string(bytes.TrimSpace(key))}
		c.nodes = append(c.nodes, n)
		join = append(join, n.host)
	}
	for _, n := range c.nodes {
		n.flags = []string{"--join", strings.Join(join, ","), "--msg-timeout", "20s", "--cache-size", "4MiB"}
		if err := os.MkdirAll(filepath.Dir(n.dir), 0o755); err != nil {
			c.Close()
			return nil, err
		}
	}
	last := c.nodes[count-1]
	err = last.machine.do(func() error {
		return syscall.Mount("none", filepath.Dir(last.dir), "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk))
	})
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	return c, nil
}

// form starts all nodes and waits until each serves the topic.
func (c *cluster) form(channels ...string) error {
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	for end := time.Now().Add(formPatience); ; time.Sleep(50 * time.Millisecond) {
		if len(c.unready()) == 0 {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v these nodes do not serve: %v", formPatience, c.unready())
		}
	}
	paths := []string{"/topic/create?topic=" + topic}
	for _, ch := range channels {
		paths = append(paths, "/channel/create?topic="+topic+"&channel="+ch)
	}
	for _, path := range paths {
		text, status, err := c.nodes[0].request("POST", path, "", 15*time.Second)
		if err == nil && status != 200 {
			err = fmt.Errorf("answered %d %s", status, text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	_, err := c.awaitLed(true, formPatience)
	return err
}

func (c *cluster) unready() (ids []catalog.NodeID) {
	for _, n := range c.nodes {
		if n.running() && !n.ready() {
			ids = append(ids, n.id)
		}
	}
	return ids
}

// awaitLed waits until all running nodes agree who leads each partition of the topic, and, if preferred is set, that it is the node that
// should, if that one runs. It returns how long that took.
func (c *cluster) awaitLed(preferred bool, patience time.Duration) (time.Duration, error) {
	begun := time.Now()
	for ; ; time.Sleep(20 * time.Millisecond) {
		why := c.unled(preferred)
		if why == "" {
			return time.Since(begun), nil
		}
		if time.Since(begun) > patience {
			return patience, fmt.Errorf("after %v %s", patience, why)
		}
	}
}

// unled tells what is missing until awaitLed is content, or "".
func (c *cluster) unled(preferred bool) string {
	runs := map[catalog.NodeID]bool{}
	for _, n := range c.nodes {
		runs[n.id] = n.running()
	}
	leaders := map[uint16]catalog.NodeID{}
	for _, n := range c.nodes {
		if !runs[n.id] {
			continue
		}
		view, err := n.view()
		if err != nil {
			return fmt.Sprintf("node %d does not answer: %v", n.id, err)
		}
		for _, p := range view.Partitions {
			if p.Topic != topic {
				continue
			}
			known, seen := leaders[p.Partition]
			switch {
			case p.Problem != "":
				return fmt.Sprintf("node %d says of its replica of partition %d: %s", n.id, p.Partition, p.Problem)
			case p.Leader == 0 || !runs[p.Leader]:
				return fmt.Sprintf("node %d sees node %d lead partition %d in term %d", n.id, p.Leader, p.Partition, p.Term)
			case seen && known != p.Leader:
				return fmt.Sprintf("partition %d is led by node %d and, says node %d, by node %d", p.Partition, known, n.id, p.Leader)
			case preferred && runs[p.Preferred] && p.Leader != p.Preferred:
				return fmt.Sprintf("partition %d is led by node %d instead of node %d", p.Partition, p.Leader, p.Preferred)
			}
			leaders[p.Partition] = p.Leader
		}
	}
	if len(leaders) != len(c.nodes) {
		return fmt.Sprintf("%d of %d partitions are known", len(leaders), len(c.nodes))
	}
	return ""
}

// Close kills what runs and takes the machines away.
func (c *cluster) Close() {
	for _, n := range c.nodes {
		n.kill()
	}
	c.wire.Close()
}
