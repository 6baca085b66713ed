//go:build process

package topology

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/testcert"
)

// messagesEach is how many messages each of the three publishers sends.
const messagesEach = 600

// arrivalPatience is how long the last message may take to arrive, once everything runs again.
const arrivalPatience = 45 * time.Second

func TestEveryMessageArrivesThroughFailures(t *testing.T) {
	for _, c := range []struct{ brokers, lookups kind }{{weir, weir}, {stock, weir}, {weir, stock}} {
		t.Run(fmt.Sprintf("%s brokers, %s lookup services", c.brokers, c.lookups), func(t *testing.T) {
			t.Parallel()
			runTopology(t, c.brokers, c.lookups)
		})
	}
}

// runTopology is the story of the package comment.
func runTopology(t *testing.T, brokers, lookups kind) {
	const topic = "orders"
	lookup := startLookups(t, lookups, 2)
	one, two := newBroker(t, brokers, "broker 1", lookup), newBroker(t, brokers, "broker 2", lookup)
	three := newBroker(t, brokers, "broker 3", lookup)
	network := startProxy(t, three.tcp)
	three.args = append(three.args, "--broadcast-tcp-port="+portOf(network.address))
	for _, b := range []*daemon{one, two, three} {
		b.start()
	}

	l := newLedger()
	channels := []string{"work"}
	startConsumer(t, l, topic, "work", lookup)
	startConsumer(t, l, topic, "work", lookup)
	if startNSQJS(t, l, topic, "audit", lookup) {
		channels = append(channels, "audit")
	}
	for _, channel := range channels { // so that what is published before the first lookup reaches all of them
		for _, d := range lookup {
			d.post("/channel/create?topic="+topic+"&channel="+channel, "")
		}
	}
	eventually(t, 10*time.Second, "all brokers are registered", func() bool { return listed(lookup[0], "") == 3 && listed(lookup[1], "") == 3 })
	publishers := []*publisher{
		startPublisher(t, l, one.tcp, topic, "one", messagesEach),
		startPublisher(t, l, two.tcp, topic, "two", messagesEach),
		startPublisher(t, l, three.tcp, topic, "three", messagesEach),
	}
	after := func(share float64, what string) {
		t.Helper()
		eventually(t, 60*time.Second, fmt.Sprintf("%v of the messages are published, before: %s", share, what),
			func() bool { return float64(publishers[1].done.Load()) >= share*messagesEach })
		t.Log(what)
	}

	after(0.25, "the network of broker 3's consumers goes silent")
	eventually(t, 10*time.Second, "a consumer is connected to broker 3", func() bool { return network.silence() > 0 })
	after(0.4, "broker 1 goes")
	if brokers == stock {
		one.stop() // kill -9 would lose what it has in memory
	} else {
		one.kill()
	}
	lookup[0].kill()
	after(0.6, "broker 1 comes back, and a consumer that only lookup 2 can help")
	one.start()
	startConsumer(t, l, topic, "work", lookup)
	after(0.75, "lookup 1 comes back, lookup 2 goes")
	lookup[0].start()
	// A stock nsqd tells a service that was started again at its next PING only.
	eventually(t, 40*time.Second, "all brokers are registered with the lookup service that came back", func() bool { return listed(lookup[0], topic) == 3 })
	lookup[1].kill()
	startConsumer(t, l, topic, "work", lookup)
	for _, p := range publishers {
		eventually(t, 60*time.Second, "all messages are published", func() bool { return p.done.Load() == messagesEach })
	}
	for _, channel := range channels {
		t.Cleanup(func() {
			if missing := l.missing(channel); t.Failed() && len(missing) > 0 {
				t.Errorf("channel %s lacks %d messages: %q …", channel, len(missing), missing[:min(len(missing), 5)])
			}
		})
		eventually(t, arrivalPatience, "everything arrives on channel "+channel, func() bool { return len(l.missing(channel)) == 0 })
	}
}

// listed returns how many brokers a lookup service lists; for a topic, unless that is empty.
func listed(lookup *daemon, topic string) int {
	path := "/nodes"
	if topic != "" {
		path = "/lookup?topic=" + topic
	}
	return strings.Count(lookup.get(path), `"broadcast_address"`)
}

// A broker that hangs with the lookup service it is registered with would be no use: publishing to new topics goes on.
func TestFrozenLookupServiceHoldsUpNobody(t *testing.T) {
	t.Parallel()
	lookup := startLookups(t, weir, 2)
	b := newBroker(t, weir, "broker", lookup)
	b.start()
	eventually(t, 10*time.Second, "the broker is registered", func() bool { return listed(lookup[0], "") == 1 && listed(lookup[1], "") == 1 })
	lookup[1].post("/channel/create?topic=new1&channel=c", "")
	freeze(t, lookup[0])
	var slowest time.Duration
	for i := range 20 {
		begun := time.Now()
		b.post(fmt.Sprint("/pub?topic=new", i), "x")
		slowest = max(slowest, time.Since(begun))
		time.Sleep(100 * time.Millisecond)
	}
	if slowest > 2*time.Second {
		t.Errorf("publishing to a new topic took %v", slowest)
	}
	t.Logf("slowest publish to a new topic: %v", slowest)
	begun := time.Now()
	b.post("/pub?topic=newest", "x")
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("seconds later publishing to a new topic still takes %v", took)
	}
	if got := b.get("/stats?format=json&topic=new1"); !strings.Contains(got, `"channel_name":"c"`) {
		t.Errorf("the other service's channels were not made: %s", got)
	}
	thaw(t, lookup[0])
	eventually(t, 20*time.Second, "the service that thawed knows the new topic", func() bool { return listed(lookup[0], "newest") == 1 })
}

// TestBrokersRegisterByTLS has a stock and a Weir broker register with one service, each in its way.
func TestBrokersRegisterByTLS(t *testing.T) {
	t.Parallel()
	authority := testcert.NewAuthority(t, "test")
	files := authority.Issue(t, testcert.Spec{})
	lookup := newDaemon(t, weir, "nsqlookupd", "lookup", "--tls-cert="+files.CertFile, "--tls-key="+files.KeyFile)
	lookup.start()
	ours := newBroker(t, weir, "ours", nil, "--lookupd-tcp-address=tls://"+lookup.tcp, "--tls-root-ca-file="+authority.File)
	distrusts := newBroker(t, weir, "ours, without the authority", nil, "--lookupd-tcp-address=tls://"+lookup.tcp)
	theirs := newBroker(t, stock, "theirs", []*daemon{lookup})
	for _, b := range []*daemon{ours, distrusts, theirs} {
		b.start()
		b.post("/topic/create?topic=t", "")
	}
	eventually(t, 10*time.Second, "two brokers are listed", func() bool { return listed(lookup, "t") == 2 })
	if got := lookup.get("/lookup?topic=t"); strings.Contains(got, portOf(distrusts.tcp)) {
		t.Errorf("a broker registered with a service that it cannot verify: %s", got)
	}
	eventually(t, 10*time.Second, "it says why", func() bool { return strings.Contains(distrusts.process.Output(), "unknown authority") })
}
