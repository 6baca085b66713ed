package node

import (
	"strings"
	"testing"
	"time"
)

// startWithLookup starts a node that has a lookup service.
func startWithLookup(t *testing.T, lookups ...string) *Node {
	t.Helper()
	o := testOptions(t.TempDir())
	o.DiscoveryTCPAddress, o.DiscoveryHTTPAddress = "127.0.0.1:0", "127.0.0.1:0"
	o.LookupAddresses = lookups
	n := start(t, o)
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// listed waits until a node's lookup service lists so many brokers.
func listed(t *testing.T, n *Node, brokers int, topic string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got = request(t, "GET", "http://"+n.LookupHTTPAddr()+"/nodes", "")
		if strings.Count(got, `"`+topic+`"`) == brokers {
			return
		}
	}
	t.Fatalf("not %d brokers with %q: %s", brokers, topic, got)
}

func TestNodesRegisterWithTheirOwnLookupServiceAndWithOthers(t *testing.T) {
	one := startWithLookup(t)
	two := startWithLookup(t, one.LookupTCPAddr())
	request(t, "POST", "http://"+two.HTTPAddr()+"/topic/create?topic=t", "")
	listed(t, one, 1, "t")
	listed(t, two, 1, "t")
	request(t, "POST", "http://"+one.HTTPAddr()+"/pub?topic=t", "x")
	listed(t, one, 2, "t")
	listed(t, two, 1, "t")

	if got := request(t, "GET", "http://"+two.HTTPAddr()+"/metrics", ""); strings.Count(got, "\nweir_lookup_registered{") != 2 ||
		!strings.Contains(got, `weir_lookup_registered{lookup="`+one.LookupTCPAddr()+`"} 1`) {
		t.Errorf("metrics:\n%s", got)
	}

	config := "http://" + one.HTTPAddr() + "/config/nsqlookupd_tcp_addresses"
	if got := request(t, "GET", config, ""); got != "[]" {
		t.Errorf("/config shows %s", got)
	}
	if got := request(t, "PUT", config, `["`+two.LookupTCPAddr()+`"]`); got != `["`+two.LookupTCPAddr()+`"]` {
		t.Errorf("/config answers %s", got)
	}
	listed(t, two, 2, "t")
	request(t, "PUT", config, "[]")
	listed(t, two, 1, "t")
	listed(t, one, 2, "t")
}

func TestNewTopicHasTheChannelsOfOtherNodesFromItsFirstMessage(t *testing.T) {
	one := startWithLookup(t)
	two := startWithLookup(t, one.LookupTCPAddr())
	request(t, "POST", "http://"+one.HTTPAddr()+"/topic/create?topic=t", "")
	request(t, "POST", "http://"+one.HTTPAddr()+"/channel/create?topic=t&channel=c", "")
	request(t, "POST", "http://"+one.HTTPAddr()+"/topic/create?topic=later", "")
	listed(t, one, 1, "later")
	request(t, "POST", "http://"+two.HTTPAddr()+"/topic/create?topic=other", "")
	listed(t, one, 1, "other") // the node is connected
	request(t, "POST", "http://"+two.HTTPAddr()+"/pub?topic=t", "x")
	stats := request(t, "GET", "http://"+two.HTTPAddr()+"/stats?format=json&topic=t", "")
	if !strings.Contains(stats, `"channel_name":"c","depth":1`) {
		t.Errorf("stats: %s", stats)
	}
}

func TestReachableIsAnAddressOneCanType(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:4151": "127.0.0.1:4151", "[::]:4151": "127.0.0.1:4151", "10.0.0.1:4151": "10.0.0.1:4151",
	} {
		if got := Reachable(address); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}
