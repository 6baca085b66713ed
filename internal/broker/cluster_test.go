package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// clusterNode is a node of a cluster.
type clusterNode struct {
	*node
	member *hostile.Member
}

// newCluster returns nodes that share partitions.
func newCluster(t *testing.T, nodes int, o hostile.Options, c hostile.ClusterOptions) []*clusterNode {
	cluster := hostile.NewCluster(c)
	list := make([]*clusterNode, nodes)
	for i := range list {
		o.Seed += uint64(i) << 32
		m := cluster.Join(o)
		n := &clusterNode{node: &node{t: t, logs: m.Logs}, member: m}
		n.options = broker.Options{Cluster: m, FlushInterval: 5 * time.Millisecond, KeepInterval: 20 * time.Millisecond, CheckpointBytes: 2 << 10}
		n.start()
		t.Cleanup(n.halt)
		list[i] = n
	}
	for i := range list {
		list[0].announce(catalog.Node{ID: catalog.NodeID(i + 1), Name: fmt.Sprint("n", i+1)})
	}
	for _, n := range list {
		n.await("the nodes are known", func() bool { return len(n.Nodes()) == nodes })
	}
	return list
}

// start opens the node's broker and lets the others reach it.
func (n *clusterNode) start() {
	n.t.Helper()
	b, err := broker.Open(n.member, n.options)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Broker = b
	n.member.Serve(b)
}

// halt stops the node cleanly.
func (n *clusterNode) halt() {
	if n.Broker != nil {
		n.member.Leave()
	}
	n.stop()
}

// crash ends the node as kill -9 does.
func (n *clusterNode) crash() {
	n.logs.Crash()
	n.member.Leave()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.Broker.Close(ctx) // its goroutines; the logs are gone
	n.Broker = nil
}

func (n *clusterNode) announce(node catalog.Node) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := n.member.Change(ctx, broker.LogID{}, catalog.EncodeNode(node)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *clusterNode) await(what string, cond func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("waited 20s until %s", what)
		}
	}
}

// logsOf returns the ids of a topic's logs, by partition.
func (n *clusterNode) logsOf(topic string) []broker.LogID {
	n.t.Helper()
	for _, t := range n.Placements() {
		if t.Name != topic {
			continue
		}
		ids := make([]broker.LogID, t.Partitions)
		for i := range ids {
			ids[i] = broker.LogID{Topic: t.ID, Partition: uint16(i)}
		}
		return ids
	}
	n.t.Fatalf("no topic %s in the catalog", topic)
	return nil
}

// lead makes the node the leader of a partition.
func (n *clusterNode) lead(id broker.LogID) {
	n.t.Helper()
	n.await("the log is open", func() bool { return n.logs.Log(id) != nil })
	n.logs.Log(id).Elect()
}

// yield has the node give up the leadership of a log as before a planned move.
func (n *clusterNode) yield(id broker.LogID) {
	n.t.Helper()
	n.await("the log is open", func() bool { return n.logs.Log(id) != nil })
	n.logs.Log(id).Yield()
}

// placed creates a topic whose partitions are led by their preferred nodes, as soon as all nodes have it.
func placed(nodes []*clusterNode, topic string) []broker.LogID {
	nodes[0].topic(topic)
	ids := nodes[0].logsOf(topic)
	for _, n := range nodes {
		n.await("the topic is known", func() bool { _, ok := n.Topic(topic); return ok })
	}
	for i, id := range ids {
		nodes[i%len(nodes)].lead(id)
	}
	return ids
}

func calm(t *testing.T, nodes int) []*clusterNode {
	return newCluster(t, nodes, hostile.Benign(), hostile.ClusterOptions{})
}

func TestTopicIsOnEveryNodeAndServesItsConsumersEverywhere(t *testing.T) {
	nodes := calm(t, 3)
	placed(nodes, "t")
	consumers := make([]*consumer, 3)
	for i, n := range nodes {
		consumers[i] = n.subscribe("t", "c", 10, plain)
	}
	for i, n := range nodes {
		body := fmt.Sprint("m", i)
		n.publish("t", body)
		consumers[i].expect(body) // the node leads a partition, and publishes to it
	}
	for i, n := range nodes {
		s := n.Stats("t", "", false)[0]
		if s.MessageCount != 1 || len(s.Channels) != 1 || s.Channels[0].MessageCount != 1 || s.Channels[0].ClientCount != 1 {
			t.Errorf("node %d shows %+v", i+1, s)
		}
	}
}

func TestNodeWithoutLeadershipPassesOn(t *testing.T) {
	nodes := calm(t, 3)
	for _, id := range placed(nodes, "t") {
		nodes[2].lead(id)
	}
	c := nodes[2].subscribe("t", "c", 10, plain)
	nodes[0].publish("t", "a")
	nodes[1].publish("t", "b")
	c.expect("a", "b")
	if got := nodes[0].Stats("t", "", false)[0].MessageCount + nodes[2].Stats("t", "", false)[0].MessageCount; got != 2 {
		t.Errorf("%d messages are counted, want 2, at the leader", got)
	}
}

func TestPublishWithoutAnyLeaderFailsInTime(t *testing.T) {
	t.Parallel()
	nodes := calm(t, 3)
	for i, id := range placed(nodes, "t") {
		nodes[i].logs.Log(id).Depose()
	}
	begun := time.Now()
	err := publish(nodes[0].topic("t"), time.Time{}, "m")
	if !errors.Is(err, broker.ErrNoLeader) {
		t.Errorf("got %v, want ErrNoLeader", err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestLostLeadershipReroutesThePublish(t *testing.T) {
	nodes := calm(t, 3)
	ids := placed(nodes, "t")
	c := nodes[1].subscribe("t", "c", 100, plain)
	d := nodes[2].subscribe("t", "c", 100, plain)
	nodes[0].logs.Log(ids[0]).Depose()
	nodes[0].publish("t", "m")
	select {
	case <-c.wakeC:
		c.expect("m")
	case <-d.wakeC:
		d.expect("m")
	case <-time.After(5 * time.Second):
		t.Fatal("no consumer was woken")
	}
}

// A seat that does not lead any more is never pulled from again: it must not keep a buffer until its session ends.
func TestASeatThatLeadsNoMoreHoldsNothing(t *testing.T) {
	for _, others := range []int{0, 1, 2} { // partitions that the node goes on to lead
		nodes := calm(t, 3)
		ids := placed(nodes, "t")
		for _, id := range ids[1 : 1+others] {
			nodes[0].lead(id)
		}
		c := nodes[0].subscribe("t", "c", 10, plain)
		nodes[0].publish("t", "a", "b")
		c.next()
		held := nodes[0].logs.Log(ids[0]).Held
		if held() != 1 {
			t.Fatalf("%d readers hold a batch in the middle of it, want 1", held())
		}
		nodes[1].lead(ids[0])
		c.expectNothingOf(held)
	}
}

// expectNothingOf pulls when it is woken, as a session does, until nothing is held.
func (c *consumer) expectNothingOf(held func() int) {
	c.t.Helper()
	for deadline := time.After(5 * time.Second); held() > 0; {
		select {
		case <-c.wakeC:
		case <-deadline:
			c.t.Fatalf("%d readers hold a batch of a partition that another node leads", held())
		}
		if _, err := c.sub.Pull(1, 1<<20, c); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestOneWindowOverAllPartitionsAndATurnForEach(t *testing.T) {
	for _, ready := range []int{1, 2, 5} {
		nodes := calm(t, 3)
		ids := placed(nodes, "t")
		nodes[0].channel("t", "c")
		for i, n := range nodes {
			n.publish("t", numbered(fmt.Sprint("p", i, "-"), 30)...)
		}
		c := nodes[0].subscribe("t", "c", ready, plain)
		for _, id := range ids {
			nodes[0].lead(id)
		}
		counts := map[byte]int{}
		for range 60 {
			var held []delivery
			for range ready {
				held = append(held, c.next())
			}
			if d, ok := c.poll(5 * time.Millisecond); ok {
				t.Fatalf("ready %d: a message more is in flight: %s", ready, d.body)
			}
			for _, d := range held {
				counts[d.body[1]]++
				c.finish(d.id)
			}
			if counts['0']+counts['1']+counts['2'] >= 60 {
				break
			}
		}
		for p := byte('0'); p < '3'; p++ {
			if counts[p] < 10 {
				t.Errorf("ready %d: partition %c got %d of 60 turns: %v", ready, p, counts[p], counts)
			}
		}
	}
}

func TestWindowOpensWhenAMessageOfAnotherPartitionTimesOut(t *testing.T) {
	nodes := calm(t, 2)
	ids := placed(nodes, "t")
	nodes[0].channel("t", "c")
	nodes[0].publish("t", "a")
	nodes[1].publish("t", "b")
	for _, id := range ids {
		nodes[0].lead(id)
	}
	c := nodes[0].subscribe("t", "c", 1, broker.SubscribeOptions{MsgTimeout: 50 * time.Millisecond})
	seen := map[string]bool{}
	for range 20 {
		seen[c.next().body] = true // never answered
		if len(seen) == 2 {
			return
		}
	}
	t.Errorf("only %v was delivered", seen)
}

func TestNewLeaderServesTheSessionsThatItHas(t *testing.T) {
	nodes := calm(t, 3)
	ids := placed(nodes, "t")
	c := nodes[1].subscribe("t", "c", 10, plain)
	old := nodes[0].subscribe("t", "c", 10, plain)
	nodes[0].publish("t", "finished", "in flight", "requeued")
	var lost broker.MessageID
	for range 3 {
		switch d := old.next(); d.body {
		case "finished":
			old.finish(d.id)
		case "in flight":
			lost = d.id
		case "requeued":
			if err := old.sub.Requeue(d.id, 0); err != nil {
				t.Fatal(err)
			}
			old.sub.SetReady(0)
		}
	}
	time.Sleep(100 * time.Millisecond) // the finish is recorded
	nodes[1].lead(ids[0])
	got := map[string]uint16{}
	for range 2 {
		d := c.next()
		got[d.body] = d.attempts
		c.finish(d.id)
	}
	if got["in flight"] != 1 || got["requeued"] != 2 {
		t.Errorf("the new leader delivered %v, want the one in flight again and the requeued one with attempt 2", got)
	}
	c.expectNothing()
	var failed error
	old.sub.Finish([]broker.MessageID{lost}, func(_ int, err error) { failed = err })
	if !errors.Is(failed, broker.ErrNotInFlight) {
		t.Errorf("finish at the old leader: %v, want ErrNotInFlight", failed)
	}
}

func TestChangesReachEveryPartitionAndEveryNode(t *testing.T) {
	nodes := calm(t, 3)
	placed(nodes, "t")
	waiting := nodes[2].subscribe("t", "c", 10, plain)
	ch, ok := nodes[1].topic("t").Channel("c")
	if !ok {
		t.Fatal("another node does not show the channel once SUB has answered OK")
	}
	if err := ch.SetPaused(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		n.await("the channel is paused", func() bool { return n.Stats("t", "c", false)[0].Channels[0].Paused })
		n.publish("t", fmt.Sprint("held", i))
	}
	waiting.expectNothing()
	if err := ch.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ch.SetPaused(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if d := n.Stats("t", "c", false)[0].Channels[0].Depth; d != 0 {
			t.Errorf("depth %d after empty", d)
		}
	}
	for _, n := range nodes { // as the admin page does
		if err := n.topic("t").DeleteChannel(t.Context(), "c"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if !waiting.isGone() {
		t.Error("the consumer was not told")
	}
	if err := nodes[0].topic("t").DeleteChannel(t.Context(), "never"); !errors.Is(err, broker.ErrChannelNotFound) {
		t.Errorf("delete of a channel that never was: %v", err)
	}
}

func TestTopicGoesOnEveryNode(t *testing.T) {
	nodes := calm(t, 3)
	placed(nodes, "t")
	c := nodes[2].subscribe("t", "c", 10, plain)
	for _, n := range nodes { // as the admin page does
		if err := n.DeleteTopic(t.Context(), "t"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	for _, n := range nodes {
		n.await("the topic and its logs are gone", func() bool {
			_, ok := n.Topic("t")
			ids, _ := n.logs.List()
			return !ok && len(ids) == 1
		})
	}
	nodes[2].await("the consumer is told", c.isGone)
	if err := nodes[0].DeleteTopic(t.Context(), "never"); !errors.Is(err, broker.ErrTopicNotFound) {
		t.Errorf("delete of a topic that never was: %v", err)
	}
}

func TestTopicWithFewPartitionsServesFromWhereTheyAre(t *testing.T) {
	nodes := calm(t, 3)
	if _, err := nodes[0].CreatePlaced(t.Context(), "t", catalog.Wish{Partitions: 1, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		n.await("the topic is known", func() bool { _, ok := n.Topic("t"); return ok })
		c := n.subscribe("t", "c", 1, plain)
		n.publish("t", "m")
		ids, _ := n.logs.List()
		if len(ids) == 2 {
			defer func() { c.expect("m") }()
		}
		if err := n.topic("t").SetPaused(t.Context(), false); err != nil {
			t.Error(err)
		}
	}
}

func TestRecordedBeforeAHandoverIsNotDeliveredAgain(t *testing.T) {
	nodes := calm(t, 2)
	for _, n := range nodes {
		n.halt()
		n.options.FlushInterval = time.Second // so that nothing is recorded by itself
		n.start()
	}
	ids := placed(nodes, "t")
	old, next := nodes[0].subscribe("t", "c", 10, plain), nodes[1].subscribe("t", "c", 10, plain)
	nodes[0].publish("t", "a", "b")
	old.expect("a", "b")
	nodes[0].yield(ids[0])
	nodes[1].lead(ids[0])
	next.expectNothing()
}

// A planned move of leadership ends what is in flight as a disconnect does: the attempt is recorded, and a late FIN hears that it is.
func TestWhatIsInFlightAtAHandoverComesAgainAsAnotherAttempt(t *testing.T) {
	nodes := calm(t, 2)
	ids := placed(nodes, "t")
	old, next := nodes[0].subscribe("t", "c", 10, plain), nodes[1].subscribe("t", "c", 10, plain)
	nodes[0].publish("t", "a")
	was := old.next()
	nodes[0].yield(ids[0])
	refused := 0
	old.sub.Finish([]broker.MessageID{was.id}, func(int, error) { refused++ })
	if refused != 1 {
		t.Error("a FIN after leadership was let go was taken")
	}
	nodes[1].lead(ids[0])
	if again := next.next(); again.attempts != was.attempts+1 {
		t.Errorf("attempts %d after %d", again.attempts, was.attempts)
	}
}

// A move that does not succeed gives service back: nothing that was finished comes again, everything else does.
func TestServiceComesBackWhenAHandoverFails(t *testing.T) {
	nodes := calm(t, 2)
	ids := placed(nodes, "t")
	c := nodes[0].subscribe("t", "c", 1, plain)
	nodes[0].publish("t", "a", "b")
	c.expect("a")
	nodes[0].yield(ids[0])
	nodes[0].lead(ids[0])
	c.expect("b")
	c.expectNothing()
}

// Leadership of two partitions changes at the same time, over and over: in the end the node publishes to the one it leads.
func TestPublishesGoToTheLeaderAfterManyChanges(t *testing.T) {
	nodes := calm(t, 2)
	ids := placed(nodes, "t")
	var changing sync.WaitGroup
	for _, id := range ids {
		changing.Go(func() {
			for i := range 300 {
				nodes[i%2].lead(id)
			}
		})
	}
	changing.Wait()
	nodes[1].lead(ids[0])
	nodes[0].lead(ids[1])
	for i := range nodes {
		nodes[i].publish("t", "m")
	}
}

func TestConsumerIsTakenWhileTheReplicasAreBehind(t *testing.T) {
	t.Parallel()
	o := hostile.Benign()
	o.MaxDelay, o.Snapshot = 30*time.Millisecond, 1 // followers lag for seconds
	nodes := newCluster(t, 2, o, hostile.ClusterOptions{})
	ids := placed(nodes, "t")
	for _, id := range ids {
		nodes[0].lead(id)
	}
	nodes[1].await("it follows", func() bool { return len(nodes[1].Advertised()) == 0 })
	begun := time.Now()
	c := nodes[1].subscribe("t", "c", 10, plain)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("the subscription took %v", took)
	}
	nodes[0].publish("t", "m")
	for _, id := range ids {
		nodes[1].lead(id)
	}
	c.expect("m")
}

func TestNodeAdvertisesWhatItLeadsOrHasSessionsFor(t *testing.T) {
	nodes := calm(t, 2)
	ids := placed(nodes, "t")
	advertises := func(n *clusterNode) bool { return len(n.Advertised()) == 1 }
	if !advertises(nodes[0]) || !advertises(nodes[1]) {
		t.Error("a leader does not advertise the topic")
	}
	c := nodes[1].subscribe("t", "c", 1, plain)
	nodes[0].lead(ids[1])
	nodes[1].await("it follows", func() bool { return !nodes[1].logs.Log(ids[1]).Leading() })
	if !advertises(nodes[1]) {
		t.Error("a node with a session does not advertise the topic")
	}
	for range len(nodes[1].Changes()) {
		<-nodes[1].Changes()
	}
	c.sub.Close()
	nodes[1].await("it withdraws", func() bool { return !advertises(nodes[1]) })
	select {
	case <-nodes[1].Changes():
	case <-time.After(time.Second):
		t.Error("the change is not told")
	}
}

func TestReplicaOfATopicDeletedMeanwhileGoesAtTheStart(t *testing.T) {
	nodes := calm(t, 3)
	placed(nodes, "gone")
	placed(nodes, "stays")
	nodes[2].halt()
	if err := nodes[0].DeleteTopic(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	nodes[2].start()
	nodes[2].await("only the catalog's and the other topic's logs are left", func() bool {
		ids, _ := nodes[2].logs.List()
		return len(ids) == 1+3
	})
}

func TestLocalTopicTakesMessagesOnEachNodeAlone(t *testing.T) {
	nodes := calm(t, 3)
	if _, err := nodes[0].CreatePlaced(t.Context(), "t", catalog.Wish{Local: true}); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		n.await("the topic is known", func() bool { _, ok := n.Topic("t"); return ok })
		ids, _ := n.logs.List()
		if len(ids) != 2 {
			t.Errorf("node %d has %d logs, want the catalog's and its own partition", i+1, len(ids))
		}
	}
	for i, n := range nodes {
		c := n.subscribe("t", "c", 1, plain)
		n.publish("t", fmt.Sprint("m", i))
		c.expect(fmt.Sprint("m", i))
	}
}

func TestFollowersTrimWhatIsFinished(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 1 << 10
	nodes := newCluster(t, 3, o, hostile.ClusterOptions{})
	for _, n := range nodes {
		n.halt()
		n.options.Retain = -1
		n.start()
	}
	ids := placed(nodes, "t")
	c := nodes[0].subscribe("t", "c", 100, plain)
	for i := range 100 {
		body := fmt.Sprintf("%0200d", i)
		nodes[0].publish("t", body)
		c.expect(body)
	}
	for _, n := range nodes[1:] {
		n.await("a follower has trimmed its log", func() bool {
			start, _ := n.logs.Log(ids[0]).Bounds()
			nodes[0].publish("t", "more")
			c.expect("more")
			return start > 50
		})
	}
}

// A follower trims no more than two checkpoints cover, whatever its keeper would like to go.
func TestAFollowerCountsOnlyWhatGaveWay(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 1 << 10
	nodes := newCluster(t, 3, o, hostile.ClusterOptions{})
	ids := placed(nodes, "t")
	follower := nodes[1]
	c := nodes[0].subscribe("t", "c", 100, plain)
	var saved record.Index
	for i := range 100 {
		body := fmt.Sprintf("%0200d", i)
		nodes[0].publish("t", body)
		c.expect(body)
		if i == 40 || i == 80 {
			follower.await("another checkpoint is stored", func() bool {
				_, at, err := follower.logs.Log(ids[0]).Checkpoint()
				newer := err == nil && at > saved
				saved = max(saved, at)
				return newer
			})
		}
	}
	size := func(n *clusterNode) (bytes int64) {
		for _, s := range n.logs.Log(ids[0]).Segments() {
			bytes += s.Bytes
		}
		return bytes
	}
	follower.logs.SetTight(true)
	follower.await("messages give way", func() bool { return follower.Yielded() > 0 })
	time.Sleep(500 * time.Millisecond) // many rounds more
	counted, left := follower.Yielded(), size(follower)
	if gone := size(nodes[0]) - left; counted > gone { // the leader keeps all
		t.Errorf("%d bytes are counted, of %d that went", counted, gone)
	}
}
