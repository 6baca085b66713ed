//go:build process

package endurance

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

const (
	topic           = "orders"
	pollEvery       = 500 * time.Millisecond
	connectionEvery = 50 * time.Millisecond
)

var channels = []string{"work", "audit"}

// load is everything that clients do with the nodes. The messages of one topic are recorded; what else goes on is there to be in the
// way: topics and channels that come and go, ephemeral ones, pauses, connections that last for a moment, and whoever looks at
// statistics, metrics and the admin page.
type load struct {
	nodes    []*node
	rec      *history.Recorder
	bytes    atomic.Int64 // of recorded bodies
	churned  atomic.Int64 // topics that came and went
	stopC    chan struct{}
	drainedC chan struct{}
	running  sync.WaitGroup // all but the consumers
	consumes sync.WaitGroup
}

// startLoad publishes rate recorded messages a second, over all nodes.
func startLoad(nodes []*node, rate int, seed uint64) *load {
	l := &load{nodes: nodes, rec: history.NewRecorder(uint32(seed)), stopC: make(chan struct{}), drainedC: make(chan struct{})}
	id := uint32(0)
	chance := func() *rand.Rand {
		id++
		return rand.New(rand.NewPCG(seed, uint64(id)))
	}
	for _, n := range nodes {
		each := max(rate/len(nodes), 10)
		for _, kind := range []struct {
			share int // in a hundred
			make  func(*publisher) []byte
		}{{50, pub}, {25, multi}, {15, deferred}, {10, nil}} {
			p := &publisher{l: l, node: n, rate: max(each*kind.share/100, 1), make: kind.make, chance: chance()}
			p.id = id
			l.running.Go(p.run)
		}
		for _, channel := range channels {
			c := &consumer{l: l, node: n, channel: channel, chance: chance()}
			l.consumes.Go(c.run)
		}
		l.running.Go(func() { l.churn(n) })
		l.running.Go(func() { l.visit(n) })
		l.running.Go(func() { l.poll(n) })
	}
	return l
}

// stop ends all but the consumers.
func (l *load) stop() {
	close(l.stopC)
	l.running.Wait()
}

// drained ends the consumers.
func (l *load) drained() {
	close(l.drainedC)
	l.consumes.Wait()
}

// over waits a while and tells whether the load is to end.
func (l *load) over(pause time.Duration) bool {
	select {
	case <-l.stopC:
		return true
	case <-time.After(pause):
		return false
	}
}

// churn makes topics and channels, durable and ephemeral, uses and deletes them. What fails because a node is away stays and is deleted
// with a later round: names repeat.
func (l *load) churn(n *node) {
	for i := 0; !l.over(100 * time.Millisecond); i++ {
		name := fmt.Sprintf("churn_%s_%d", n.host, i%5)
		if i%5 == 4 {
			name += "#ephemeral"
		}
		escaped := "topic=" + replaceHash(name)
		_ = n.post("/topic/create?"+escaped, "")
		_ = n.post("/channel/create?"+escaped+"&channel=kept", "")
		c, err := rawnsq.NewConsumer(n.TCP(), name, "passing#ephemeral", rawnsq.ConsumerOptions{Ready: 10})
		for range 20 {
			_ = n.post("/pub?"+escaped, "x")
		}
		_ = n.post("/channel/pause?"+escaped+"&channel=kept", "")
		_ = n.post("/channel/unpause?"+escaped+"&channel=kept", "")
		if err == nil {
			c.SetDeadline(time.Now().Add(time.Second))
			for range 10 {
				d, err := c.Next()
				if err != nil {
					break
				}
				c.Finish(d.ID)
			}
			c.Close()
		}
		_ = n.post("/channel/empty?"+escaped+"&channel=kept", "")
		_ = n.post("/channel/delete?"+escaped+"&channel=kept", "")
		_ = n.post("/topic/delete?"+escaped, "")
		l.churned.Add(1)
	}
	for i := range 5 {
		_ = n.post(fmt.Sprintf("/topic/delete?topic=churn_%s_%d", n.host, i), "")
	}
}

func replaceHash(name string) string {
	const ephemeral = "#ephemeral"
	if len(name) > len(ephemeral) && name[len(name)-len(ephemeral):] == ephemeral {
		return name[:len(name)-len(ephemeral)] + "%23ephemeral"
	}
	return name
}

// visit connects for a moment: some identify, some subscribe, some say nothing.
func (l *load) visit(n *node) {
	for i := 0; !l.over(connectionEvery); i++ {
		c, err := rawnsq.DialSilent(n.TCP())
		if err != nil {
			continue
		}
		c.SetDeadline(time.Now().Add(time.Second))
		if i%3 > 0 && c.Send([]byte("  V2")) == nil {
			if _, err := c.Identify(nil); err == nil && i%3 == 2 {
				_ = c.Sub("visits#ephemeral", "passing#ephemeral")
			}
		}
		c.Close()
	}
}

// poll looks at the node as operators and their programs do.
func (l *load) poll(n *node) {
	for i := 0; !l.over(pollEvery); i++ {
		for _, url := range []string{
			n.HTTP() + "/stats?format=json", n.HTTP() + "/stats", n.HTTP() + "/metrics", n.HTTP() + "/v1/cluster",
			n.admin() + "/", n.admin() + "/api/topics", n.admin() + "/api/topics/" + topic, n.admin() + "/api/nodes", n.admin() + "/api/counter",
			n.admin() + "/api/v1/overview", n.admin() + "/api/v1/history",
		} {
			_ = finish(client.Get("http://" + url))
		}
	}
}
