//go:build process

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// listed returns the hosts of the nodes that the lookup service of a node names for a topic, sorted.
func (n *clusterNode) listed(topic string) ([]string, error) {
	var found struct {
		Producers []struct {
			Host string `json:"broadcast_address"`
		}
	}
	err := getJSON("http://"+n.lookup()+"/lookup?topic="+topic, &found)
	hosts := []string{}
	for _, p := range found.Producers {
		hosts = append(hosts, p.Host)
	}
	slices.Sort(hosts)
	return hosts, err
}

func getJSON(url string, into any) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// awaitListed waits until the lookup services of some nodes all name the same nodes for a topic.
func (ns *nodes) awaitListed(topic string, at []*clusterNode, want ...*clusterNode) {
	ns.t.Helper()
	hosts := []string{}
	for _, n := range want {
		hosts = append(hosts, n.host)
	}
	slices.Sort(hosts)
	for _, n := range at {
		ns.eventually(fmt.Sprintf("node %d's lookup names %v for %s", n.id, hosts, topic), func() error {
			got, err := n.listed(topic)
			if err == nil && !slices.Equal(got, hosts) {
				err = fmt.Errorf("it names %v", got)
			}
			return err
		})
	}
}

// eventually waits until holds returns nil.
func (ns *nodes) eventually(what string, holds func() error) {
	ns.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ns.t.Fatalf("not in time: %s: %v", what, err)
		}
	}
}

// startAdmin starts an nsqadmin that asks the lookup services of some nodes, and returns its address.
func startAdmin(t *testing.T, name, path string, args []string, lookups ...*clusterNode) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	args = append(args, "-http-address", address)
	for _, n := range lookups {
		args = append(args, "-lookupd-http-address", n.lookup())
	}
	p, err := proc.Start(proc.Spec{Path: path, Args: args, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, tail(p.Output(), 2000))
		}
	})
	for end := time.Now().Add(10 * time.Second); getStatus("http://"+address+"/ping") != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not answer:\n%s", name, p.Output())
		}
	}
	return address
}

func getStatus(url string) int {
	answer, err := client.Get(url)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// remove sends a DELETE to an admin page, as its buttons do.
func (ns *nodes) remove(page, path, body string) {
	ns.t.Helper()
	request, err := http.NewRequest(http.MethodDelete, "http://"+page+path, strings.NewReader(body))
	if err != nil {
		ns.t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: 15 * time.Second}).Do(request)
	if err != nil {
		ns.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		ns.t.Fatalf("DELETE %s %s: %s", path, body, answer.Status)
	}
}

// TestATombstoneWithdrawsANode has stock nsqadmin and ours, which know the lookup service of one node only, take a topic from a node, and
// then delete it.
func TestATombstoneWithdrawsANode(t *testing.T) {
	stock, err := proc.Stock(t.TempDir(), "nsqadmin")
	if err != nil {
		t.Fatal(err)
	}
	ns := startNodes(t, 3)
	stockPage := startAdmin(t, "stock nsqadmin", stock, nil, ns.list[1])
	weirPage := startAdmin(t, "weir nsqadmin", weirBinary, []string{"nsqadmin"}, ns.list[1])
	for topic, page := range map[string]string{"stock": stockPage, "weir": weirPage} {
		prepare(ns, topic, "work")
		ns.awaitListed(topic, ns.list, ns.list...)
		ns.post(ns.list[0], "/pub?topic="+topic, "before")
		ns.remove(page, "/api/nodes/"+ns.list[2].http(), `{"topic":"`+topic+`"}`)
		ns.awaitListed(topic, ns.list, ns.list[:2]...)
		for _, n := range ns.list {
			if err := n.hasTopic(topic); err != nil {
				t.Errorf("%s: after a tombstone for node 3: %v", topic, err)
			}
			ns.post(n, "/pub?topic="+topic, "after")
		}
		ns.remove(page, "/api/nodes/"+ns.list[2].http(), `{"topic":"`+topic+`"}`) // a second click
		if err := ns.list[0].hasTopic(topic); err != nil {
			t.Errorf("%s: after a second tombstone: %v", topic, err)
		}

		ns.remove(page, "/api/topics/"+topic, "")
		for _, n := range ns.list {
			ns.eventually(fmt.Sprintf("topic %s is gone from node %d", topic, n.id), func() error {
				if err := n.hasTopic(topic); err != nil {
					return nil
				}
				return fmt.Errorf("it has it")
			})
		}
	}
}

// hasTopic returns nil if the node has a topic.
func (n *clusterNode) hasTopic(topic string) error {
	var stats struct {
		Topics []struct {
			Name string `json:"topic_name"`
		}
	}
	if err := getJSON("http://"+n.http()+"/stats?format=json", &stats); err != nil {
		return err
	}
	for _, t := range stats.Topics {
		if t.Name == topic {
			return nil
		}
	}
	return fmt.Errorf("node %d has topics %v", n.id, stats.Topics)
}

// TestLookupFollowsLeadership kills, freezes and stops nodes, and looks at what the lookup services of all nodes name.
func TestLookupFollowsLeadership(t *testing.T) {
	ns := startNodes(t, 3)
	const topic = "orders"
	prepare(ns, topic, "work")
	ns.awaitListed(topic, ns.list, ns.list...)

	ns.kill(ns.list[2])
	ns.awaitLed(topic, false, ns.list[0], 10*time.Second)
	ns.awaitListed(topic, ns.list[:2], ns.list[:2]...)
	ns.start(ns.list[2])
	ns.awaitLed(topic, true, ns.list[0], 20*time.Second)
	ns.awaitListed(topic, ns.list, ns.list...)

	// Every lookup service, begun anew, is told by all.
	for _, n := range ns.list {
		ns.stop(n)
		ns.awaitListed(topic, ns.others(n), ns.others(n)...)
		ns.start(n)
	}
	ns.awaitLed(topic, true, ns.list[0], 20*time.Second)
	ns.awaitListed(topic, ns.list, ns.list...)

	// A topic of one partition: only its leader is named, whoever that is.
	ns.post(ns.list[0], "/v1/topics", `{"topic":"single","partitions":1,"replicas":3}`)
	ns.awaitLed("single", true, ns.list[0], 20*time.Second)
	first := ns.leader("single", ns.list[0])
	ns.awaitListed("single", ns.list, first)
	ns.kill(first)
	rest := ns.others(first)
	ns.eventually("another leads", func() error {
		if ns.leader("single", rest[0]) == first {
			return errors.New("it does not")
		}
		return nil
	})
	ns.awaitListed("single", rest, ns.leader("single", rest[0]))
	ns.start(first)
	ns.awaitLed("single", true, rest[0], 20*time.Second)
	ns.awaitListed("single", ns.list, first)
}

// leader returns who leads the only partition of a topic as a node sees it, once it knows of somebody.
func (ns *nodes) leader(topic string, at *clusterNode) (leader *clusterNode) {
	ns.t.Helper()
	ns.eventually("somebody leads "+topic, func() error {
		leaders, err := at.leaders(topic)
		if err != nil || leaders[0] == 0 {
			return errors.Join(errors.New("nobody does"), err)
		}
		leader = ns.list[leaders[0]-1]
		return nil
	})
	return leader
}

// others returns the nodes but one.
func (ns *nodes) others(but *clusterNode) []*clusterNode {
	return slices.DeleteFunc(slices.Clone(ns.list), func(n *clusterNode) bool { return n == but })
}
