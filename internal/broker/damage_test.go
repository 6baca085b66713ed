package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// damagedLogs are logs whose messages cannot be read.
type damagedLogs struct{ *hostile.Logs }

type damagedLog struct{ broker.Log }

type damagedReader struct{ broker.Reader }

var errDamage = errors.New("segment 0, position 64: checksum")

func (l damagedLogs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := l.Logs.Open(id, m)
	return damagedLog{log}, err
}

func (l damagedLog) NewReader() broker.Reader { return damagedReader{l.Log.NewReader()} }

func (damagedReader) Batch(record.Offset) (record.Batch, int64, error) { return nil, 0, errDamage }

func TestPartitionThatCannotBeReadTakesNothingMore(t *testing.T) {
	b, err := broker.Open(damagedLogs{hostile.New(hostile.Benign())}, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, Broker: b}
	defer n.stop()
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
