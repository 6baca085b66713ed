//go:build process

package cluster

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// underLoad starts a cluster with traffic; the function that it returns ends it and looks that nothing was lost, and that no node
// stopped.
func underLoad(t *testing.T, flags ...string) (*nodes, *traffic, func()) {
	t.Helper()
	ns, f := startTraffic(t, 300, []string{"work"}, flags...)
	f.consume("work", 50)
	return ns, f, func() {
		t.Helper()
		before := f.answered.Load()
		time.Sleep(300 * time.Millisecond)
		if f.answered.Load() == before {
			t.Error("nothing is published any more")
		}
		report := f.finish(drainPatience, "work")
		t.Log(f.describe(report))
		if report.Count(history.Lost)+report.Count(history.Phantom) > 0 {
			t.Error("messages were lost or made up")
		}
	}
}

// says waits until a process has logged a line that holds all parts, and returns it.
func says(t *testing.T, p *proc.Process, parts ...string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
	lines:
		for line := range strings.Lines(p.Output()) {
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			t.Log(strings.TrimSpace(line))
			return line
		}
		if time.Now().After(end) {
			t.Errorf("no line says %q:\n%s", parts, tail(p.Output(), 3000))
			return ""
		}
	}
}

// stranger starts a process that is none of the cluster's nodes; it is killed when the test ends.
func stranger(t *testing.T, args ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(proc.Spec{Path: weirBinary, Args: append([]string{"serve"}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

// TestGarbageFromPeers sends to the ports of a node what no node sends.
func TestGarbageFromPeers(t *testing.T) {
	ns, _, conclude := underLoad(t)
	n := ns.list[0]
	hello := hello(t, n)
	newer := []byte(strings.Clone(string(hello)))
	binary.BigEndian.PutUint16(newer[8:], 2)
	reseal(newer)
	foreign := []byte(strings.Clone(string(hello)))
	foreign[12] ^= 0xff
	reseal(foreign)
	for _, garbage := range []struct {
		what, bytes string
		says        []string
	}{
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", []string{"what came is not the hello of a Weir node"}},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03aaaaaaaaaaaaaaaa", []string{"TLS", "--cluster-key"}},
		{"a hello with a flipped byte", string(hello[:20]) + "?" + string(hello[21:]), []string{"checksum does not match"}},
		{"a newer version", string(newer), []string{"speaks version 2", "upgrade the older one"}},
		{"another cluster", string(foreign), []string{"belongs to cluster", "has the other's address"}},
	} {
		for range 20 {
			conn, err := net.Dial("tcp", net.JoinHostPort(n.host, "4180"))
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(2 * time.Second))
			conn.Write([]byte(garbage.bytes))
			conn.Read(make([]byte, 1))
			conn.Close()
		}
		t.Log(garbage.what)
		line := says(t, n.process, garbage.says...)
		if line != "" && strings.Count(n.process.Output(), line[strings.Index(line, "level="):]) > 3 {
			t.Errorf("20 times %s fill the log", garbage.what)
		}
	}
	for _, network := range []string{"tcp", "udp"} {
		for i := range 50 {
			conn, err := net.Dial(network, net.JoinHostPort(n.host, "4181"))
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(time.Second))
			fmt.Fprintf(conn, "%c garbage %s", i, strings.Repeat("x", 20*i))
			conn.Close()
		}
	}
	if lines := strings.Count(n.process.Output(), "\n"); lines > 200 {
		t.Errorf("garbage fills the log: %d lines", lines)
	}
	conclude()
}

// hello returns the hello of node 2 to node 1, as far as it matters here.
func hello(t *testing.T, n *clusterNode) []byte {
	t.Helper()
	view, err := n.view()
	if err != nil {
		t.Fatal(err)
	}
	var id uint64
	if _, err := fmt.Sscanf(view.Cluster, "%x", &id); err != nil {
		t.Fatal(view.Cluster, err)
	}
	b := append([]byte("WEIRPEER"), 0, 1, 0, 53)
	for _, v := range []uint64{id, 2, 1} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, make([]byte, 12+2+12+1+2)...)
	b[12+24+3] = 200 // a life that nobody has seen
	return reseal(append(b, 0, 0, 0, 0))
}

// reseal corrects the checksum of a hello.
func reseal(b []byte) []byte {
	end := len(b) - 4
	binary.BigEndian.PutUint32(b[end:], crc32.Checksum(b[:end], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// TestNodesThatDoNotBelong starts processes that are not, or no longer, nodes of the cluster.
func TestNodesThatDoNotBelong(t *testing.T) {
	ns, _, conclude := underLoad(t)
	join := ns.flags[len(ns.flags)-1]
	prefix := ns.list[0].host[:strings.LastIndex(ns.list[0].host, ".")]
	at := func(last int) string { return fmt.Sprintf("%s.%d", prefix, last) }
	key := filepath.Join(t.TempDir(), "key")
	secret, err := exec.Command(weirBinary, "cluster", "key").Output()
	if err == nil {
		err = os.WriteFile(key, secret, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}

	t.Log("a node of another list, with an empty directory")
	p := stranger(t, "--listen", at(9), "--data-path", t.TempDir(), "--join", join+","+at(9))
	says(t, p, "belong to a cluster and this one", "must be replaced")

	t.Log("a node with a key")
	p = stranger(t, "--listen", at(10), "--data-path", t.TempDir(), "--join", join, "--cluster-key-file", key)
	says(t, p, "WARN", "--cluster-key")

	t.Log("a join address that does not answer")
	p = stranger(t, "--listen", at(11), "--data-path", t.TempDir(), "--join", at(11)+","+at(12)+","+at(13))
	says(t, p, "a node of --join does not answer", at(12))
	says(t, p, "waiting for these nodes of --join", at(12), at(13))

	t.Log("a node with the name of another")
	p = stranger(t, "--listen", at(14), "--data-path", t.TempDir(), "--join", join, "--node-name", ns.list[1].host+":4180")
	says(t, p, "same name")

	t.Log("a lone node's directory")
	dir := t.TempDir()
	lone := &nodes{t: t}
	single := &clusterNode{host: at(15), dir: dir}
	lone.start(single)
	lone.post(single, "/pub?topic=t", "m")
	lone.stop(single)
	p = stranger(t, "--listen", at(15), "--data-path", dir, "--join", join)
	says(t, p, "weir serve:", "the topics of a node that was alone", "--data-path")

	t.Log("other orders of the list")
	p = stranger(t, "--listen", at(16), "--data-path", t.TempDir(), "--join", at(16)+","+at(17))
	q := stranger(t, "--listen", at(17), "--data-path", t.TempDir(), "--join", at(17)+","+at(16))
	says(t, p, "another --join list", "order")
	says(t, q, "another --join list", "order")
	conclude()
}

// TestAnOlderCopyOfADisk puts back a node's disk as it was, after the node has run on.
func TestAnOlderCopyOfADisk(t *testing.T) {
	ns, f, conclude := underLoad(t)
	n := ns.list[2]
	f.rec.Killed() // for the messages in flight at the node, which come again
	ns.stop(n)
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(n.dir)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ns.start(n)
		ns.awaitLed("orders", true, ns.list[0], 20*time.Second)
		f.rec.Killed()
		ns.stop(n)
	}
	if err := os.RemoveAll(n.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, n.dir); err != nil {
		t.Fatal(err)
	}
	ns.launch(n)
	says(t, n.process, "older copy")
	time.Sleep(3 * time.Second)
	leaders, err := ns.list[0].leaders("orders")
	if err != nil {
		t.Fatal(err)
	}
	for partition, leader := range leaders {
		if leader == n.id || leader == 0 {
			t.Errorf("partition %d is led by node %d", partition, leader)
		}
	}
	if status := showStatus(t, ns.list[0]); !strings.Contains(status, "older copy") {
		t.Error("weir cluster status does not tell of the older copy")
	}
	conclude()
}
