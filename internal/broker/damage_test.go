package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// damagedLogs are logs of which some messages cannot be read.
type damagedLogs struct {
	*hostile.Logs
	damage map[record.Offset]error
}

type damagedLog struct {
	broker.Log
	damage map[record.Offset]error
}

type damagedReader struct {
	broker.Reader
	damage map[record.Offset]error
}

var errDamage = errors.New("segment 0, position 64: checksum")

func (l damagedLogs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := l.Logs.Open(id, m)
	return damagedLog{log, l.damage}, err
}

func (l damagedLog) NewReader() broker.Reader { return damagedReader{l.Log.NewReader(), l.damage} }

func (r damagedReader) Batch(offset record.Offset) (record.Batch, int64, error) {
	if err := r.damage[offset]; err != nil {
		return nil, 0, err
	}
	return r.Reader.Batch(offset)
}

// damagedNode opens a broker over damaged logs.
func damagedNode(t *testing.T, damage map[record.Offset]error) *node {
	b, err := broker.Open(damagedLogs{hostile.New(hostile.Benign()), damage}, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, Broker: b}
	t.Cleanup(n.stop)
	return n
}

func TestMessageThatARepairGaveUpIsSkipped(t *testing.T) {
	lost := broker.LostError{First: 1, Next: 3}
	n := damagedNode(t, map[record.Offset]error{1: &lost, 2: &lost})
	c := n.subscribe("t", "c", 10, plain)
	for _, body := range numbered("", 4) {
		n.publish("t", body)
	}
	c.expect("0", "3")
	c.expectNothing()
	if s := n.Stats("t", "c", false)[0].Channels[0]; s.Depth != 0 || s.InFlight != 0 || s.LostCount != 2 {
		t.Errorf("%d messages wait, %d are in flight, %d are lost", s.Depth, s.InFlight, s.LostCount)
	}
	if err := n.Healthy(); err != nil {
		t.Errorf("healthy: %v", err)
	}
	c.sub.Close()
}

func TestPartitionThatCannotBeReadTakesNothingMore(t *testing.T) {
	n := damagedNode(t, map[record.Offset]error{0: errDamage})
	c := n.subscribe("t", "c", 1, plain)
	n.publish("t", "m")
	if _, err := c.sub.Pull(1, 1<<20, c); !errors.Is(err, errDamage) {
		t.Fatalf("pull: %v", err)
	}
	if !c.isGone() {
		t.Error("the consumer was not told")
	}
	if err := publish(n.topic("t"), time.Time{}, "m"); !errors.Is(err, broker.ErrFailed) {
		t.Errorf("publish: %v, want ErrFailed", err)
	}
	if _, err := n.Subscribe(t.Context(), "t", "c", c, plain); !errors.Is(err, broker.ErrFailed) {
		t.Errorf("subscribe: %v, want ErrFailed", err)
	}
	if err := n.Healthy(); !errors.Is(err, errDamage) {
		t.Errorf("healthy: %v", err)
	}
	c.sub.Close()
}

// refusingLogs cannot open some logs.
type refusingLogs struct {
	*hostile.Logs
	refuse map[broker.LogID]error
}

func (l refusingLogs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	if err := l.refuse[id]; err != nil {
		return nil, err
	}
	return l.Logs.Open(id, m)
}

func TestDamagedTopicStandsStillWhileOthersServe(t *testing.T) {
	n := newNode(t, hostile.Benign())
	n.publish("damaged", "m")
	before, err := n.logs.List()
	if err != nil {
		t.Fatal(err)
	}
	n.publish("intact", "m")
	n.stop()
	refuse := map[broker.LogID]error{}
	for _, id := range before {
		if id.Topic != 0 { // not the catalog
			refuse[id] = errDamage
		}
	}
	b, err := broker.Open(refusingLogs{n.logs, refuse}, n.options)
	if err != nil {
		t.Fatal(err)
	}
	n.Broker = b
	n.subscribe("intact", "c", 1, plain).expect("m")
	if err := n.Healthy(); !errors.Is(err, errDamage) {
		t.Errorf("healthy: %v, want the damage", err)
	}
	if err := publish(n.topic("damaged"), time.Time{}, "x"); !errors.Is(err, broker.ErrFailed) {
		t.Errorf("publish into the damaged topic: %v", err)
	}
	if _, err := n.Subscribe(t.Context(), "damaged", "c", &consumer{}, plain); !errors.Is(err, broker.ErrFailed) {
		t.Errorf("subscribe to the damaged topic: %v", err)
	}
	n.restart() // repaired
	n.subscribe("damaged", "c", 1, plain).expect("m")
}
