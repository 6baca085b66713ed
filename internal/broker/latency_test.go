package broker_test

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestLatencyCountsWhatIsFinishedOnce(t *testing.T) {
	n := newNodeWith(t, hostile.Benign(), func(o *broker.Options) { o.LatencyQuantiles = []float64{1, 0.5} })
	a, b := n.subscribe("t", "a", 10, plain), n.subscribe("t", "b", 10, plain)
	n.publish("t", "1", "2", "3")
	time.Sleep(20 * time.Millisecond)
	first := a.next()
	a.finish(first.id)
	a.sub.Finish([]broker.MessageID{first.id}, func(int, error) {}) // not in flight any more
	a.finish(a.next().id)
	given := a.next()
	if err := a.sub.Requeue(given.id, 0); err != nil {
		t.Fatal(err)
	}
	b.finish(b.next().id)
	topic := n.Stats("t", "a", false)[0]
	ofA := topic.Channels[0].Latency
	if topic.Latency.Count != 3 || ofA.Count != 2 {
		t.Errorf("topic %d, channel a %d, want 3, 2", topic.Latency.Count, ofA.Count)
	}
	if v := ofA.Values[0]; v.Quantile != 1 || v.Took < 20*time.Millisecond || v.Took > time.Minute {
		t.Errorf("got %+v", v)
	}
	a.finish(a.next().id)
	if got := n.Stats("t", "a", false)[0].Channels[0].Latency.Count; got != 3 {
		t.Errorf("after the requeued one %d, want 3", got)
	}
}

func TestLatencyIsNotMeasuredUnlessAskedFor(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.subscribe("t", "c", 1, plain)
	if s := n.Stats("t", "", false)[0]; s.Latency != nil || s.Channels[0].Latency != nil {
		t.Errorf("got %+v", s)
	}
}
