//go:build process

package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// diskFault is the entry of the fault menu that these tests report for.
const diskFault = "a replica's disk outdated, wiped or damaged"

// problems returns what a node says of its own replicas that neither vote nor lead.
func (n *clusterNode) problems() ([]string, error) {
	view, err := n.view()
	var list []string
	for _, p := range view.Partitions {
		if p.Problem != "" {
			list = append(list, fmt.Sprintf("%s/%d: %s", p.Topic, p.Partition, p.Problem))
		}
	}
	return list, err
}

// harm is what is done to the disk of a node while it is down.
type harm struct {
	name  string
	flags []string
	do    func(t *testing.T, dir string)
	says  string // what the node must say of its replicas
	ends  bool   // the node does not start: it lost its replica of the catalog, too
	waits bool   // the node does not become ready
}

// TestAReplicaThatMayHaveForgotten harms the disk of a node that is down, under load. Started again it must not vote or lead with
// what it forgot, and must say so; nothing is lost, and consumers are given nothing that is damaged.
func TestAReplicaThatMayHaveForgotten(t *testing.T) {
	for _, h := range []harm{
		{name: "a log is deleted", do: deleteLog, says: "the log is missing"},
		{name: "the votes are deleted", do: deleteVotes, says: "votes is missing", ends: true},
		{name: "logs and votes are deleted", do: deleteLogsAndVotes, says: "votes is missing", ends: true},
		{name: "power was lost without --sync=always", flags: []string{"--sync", "os"}, do: otherBoot, says: "started anew after an unclean stop", ends: true},
		{name: "the whole disk is deleted", do: wipe, says: "A node that lost its data must be replaced", waits: true},
	} {
		t.Run(h.name, func(t *testing.T) { sufferHarm(t, h) })
	}
}

func sufferHarm(t *testing.T, h harm) {
	ns, f := startTraffic(t, 300, []string{"work"}, h.flags...)
	f.consume("work", 50)
	time.Sleep(time.Second)
	victim, witness := ns.list[2], ns.list[0]
	f.rec.Killed()
	ns.kill(victim)
	ns.awaitLed(f.topic, false, witness, 10*time.Second)
	h.do(t, victim.dir)
	if h.ends || h.waits {
		refused(ns, victim, h)
		concludeHarm(f)
		return
	}
	ns.start(victim)

	var said []string
	ns.eventually("the node says what is wrong", func() (err error) {
		said, err = victim.problems()
		if err == nil && !slices.ContainsFunc(said, func(p string) bool { return strings.Contains(p, h.says) }) {
			err = fmt.Errorf("it says %q", said)
		}
		return err
	})
	t.Logf("the node says %q", said)
	for _, p := range said {
		reason := p[strings.Index(p, ": ")+2:]
		if !strings.Contains(victim.process.Output(), reason[:min(20, len(reason))]) {
			t.Errorf("the log does not tell %q", p)
		}
	}
	if status := getStatus("http://" + victim.http() + "/ping"); status != http.StatusOK {
		t.Errorf("/ping of the node answers %d", status)
	}
	time.Sleep(4 * time.Second) // leadership would have returned
	view, err := witness.view()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range view.Partitions {
		if p.Leader == 0 {
			t.Errorf("%s/%d has no leader", p.Topic, p.Partition)
		}
		out := slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("%s/%d: ", p.Topic, p.Partition)) })
		if out && p.Leader == victim.id {
			t.Errorf("%s/%d is led by the node that forgot", p.Topic, p.Partition)
		}
	}
	if status := showStatus(t, witness); !strings.Contains(status, h.says) || !strings.Contains(status, "3 (out)") {
		t.Error("weir cluster status, asked of another node, does not tell what is wrong")
	}
	concludeHarm(f)
}

// refused starts a node that lost too much. Its log says why in one line, and nobody takes it for a member.
func refused(ns *nodes, n *clusterNode, h harm) {
	ns.t.Helper()
	ns.launch(n)
	ns.eventually("the node says what is wrong", func() error {
		for line := range strings.Lines(n.process.Output()) {
			if strings.Contains(line, h.says) {
				ns.t.Log(strings.TrimSpace(line))
				return nil
			}
		}
		return errors.New(n.process.Output())
	})
	if h.ends {
		if err := n.process.Wait(10 * time.Second); err == nil || n.process.ExitCode() != 1 {
			ns.t.Errorf("the node ended with code %d: %v", n.process.ExitCode(), err)
		}
	} else {
		time.Sleep(2 * time.Second)
		if status := getStatus("http://" + n.http() + "/ping"); status != 0 {
			ns.t.Errorf("/ping of a node that is not in the cluster answers %d", status)
		}
	}
	if status := showStatus(ns.t, ns.list[0]); !strings.Contains(status, "node 3 is down") {
		ns.t.Error("weir cluster status does not say that the node is down")
	}
}

func concludeHarm(f *traffic) {
	f.t.Helper()
	report := f.finish(drainPatience, "work")
	f.t.Log(f.describe(report))
	faultreport.Write(f.t, faultreport.Judged(diskFault, 1, report))
	if report.Count(history.Lost)+report.Count(history.Phantom) > 0 {
		f.t.Error("messages were lost or made up")
	}
}

// showStatus logs what `weir cluster status` prints of a node.
func showStatus(t *testing.T, n *clusterNode) string {
	t.Helper()
	out := clusterStatus(n)
	t.Logf("weir cluster status at node %d:\n%s", n.id, out)
	return out
}

// clusterStatus returns what `weir cluster status` prints.
func clusterStatus(n *clusterNode) string {
	out, err := exec.Command(weirBinary, "cluster", "status", "--http-address", n.http()).CombinedOutput()
	if err != nil {
		return err.Error() + ": " + string(out)
	}
	return string(out)
}

// deleteLog deletes the newest log but the catalog's.
func deleteLog(t *testing.T, dir string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*-00002"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	if err := os.RemoveAll(logs[0]); err != nil {
		t.Fatal(err)
	}
}

func deleteVotes(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "votes")); err != nil {
		t.Fatal(err)
	}
}

func deleteLogsAndVotes(t *testing.T, dir string) {
	t.Helper()
	deleteVotes(t, dir)
	logs := filepath.Join(dir, "logs")
	if err := errors.Join(os.RemoveAll(logs), os.Mkdir(logs, 0o700)); err != nil {
		t.Fatal(err)
	}
}

func wipe(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// otherBoot makes a node's file say that its last process ran before the machine's last boot (docs/format/cluster.md).
func otherBoot(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "cluster")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const bootID = 16 // where it begins
	b[bootID] ^= 0xff
	end := len(b) - 4
	binary.BigEndian.PutUint32(b[end:], crc32.Checksum(b[:end], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamageNeverReachesAConsumer flips a byte in a sealed segment of the node that leads, while it is down. It finds out when
// it reads; another replica takes over, and every message is delivered as it was published.
func TestDamageNeverReachesAConsumer(t *testing.T) {
	ns := startNodes(t, 3)
	prepare(ns, "bulk", "work")
	prepare(ns, "other", "work")
	victim, witness := ns.list[2], ns.list[0]
	want := map[string]bool{}
	for i := range 30 {
		body := strings.Repeat(fmt.Sprintf("message %d ", i), 10_000)
		want[body] = true
		ns.post(victim, "/pub?topic=bulk", body)
	}
	ns.kill(victim)
	segments, err := filepath.Glob(filepath.Join(victim.dir, "logs", "*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := ""
	for _, name := range segments {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(b), "message 5 message 5 "); i >= 0 {
			flipped = name
			b[i+50_000] ^= 1
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if flipped == "" {
		t.Fatalf("message 5 is in none of %v", segments)
	}
	ns.start(victim)
	ns.eventually("the node leads again, or knows better", func() error {
		said, err := victim.problems()
		leaders, _ := victim.leaders("bulk")
		if err == nil && len(said) == 0 && leaders[2] != victim.id {
			err = fmt.Errorf("leaders are %v", leaders)
		}
		return err
	})

	received := make(chan string, 1000)
	config := nsq.NewConfig()
	config.LookupdPollInterval, config.LookupdPollJitter = 300*time.Millisecond, 0
	c, err := nsq.NewConsumer("bulk", "work", config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetLogger(log.New(io.Discard, "", 0), nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		received <- string(m.Body)
		return nil
	}))
	defer c.Stop()
	if err := c.ConnectToNSQLookupds([]string{ns.list[0].lookup(), ns.list[1].lookup()}); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for patience := time.After(40 * time.Second); len(got) < len(want); {
		select {
		case body := <-received:
			if !want[body] {
				t.Fatal("a message was delivered that nobody published")
			}
			got[body] = true
		case <-patience:
			showStatus(t, witness)
			t.Fatalf("%d of %d messages were delivered", len(got), len(want))
		}
	}
	ns.eventually("the node says what is wrong", func() error {
		said, err := victim.problems()
		if err == nil && (len(said) != 1 || !strings.Contains(said[0], filepath.Base(flipped))) {
			err = fmt.Errorf("it says %q", said)
		}
		return err
	})
	ns.eventually("weir cluster status, asked of another node, tells of the damage", func() error {
		status := clusterStatus(witness) // the nodes' addresses are in the catalog some moments after a start
		if !strings.Contains(status, filepath.Base(flipped)) {
			return errors.New(status)
		}
		return nil
	})
	if code := getStatus("http://" + victim.http() + "/ping"); code != http.StatusOK {
		t.Errorf("/ping of the damaged node, which serves other topics, answers %d", code)
	}
	ns.post(victim, "/pub?topic=bulk", "it takes messages for the other partitions")
	ns.post(victim, "/pub?topic=other", "and for other topics")
	faultreport.Write(t, faultreport.Row{Fault: diskFault, Injected: 1, Acknowledged: len(want) + 2, Delivered: len(got)})
}
