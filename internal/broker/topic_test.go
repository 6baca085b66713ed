package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

// slowNode commits after up to 20 ms, so that callers can lose patience before.
func slowNode(t *testing.T) *node {
	o := hostile.Benign()
	o.MaxDelay = 20 * time.Millisecond
	return newNode(t, o)
}

// impatient is the context of a caller that is gone already.
func impatient(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestTopicWhoseCreationWasAbandonedKeepsItsMessages(t *testing.T) {
	n := slowNode(t)
	abandoned := 0
	for _, name := range numbered("t", 8) {
		if _, err := n.CreateTopic(impatient(t), name); errors.Is(err, broker.ErrUnknown) {
			abandoned++
		}
		n.publish(name, "kept")
	}
	if abandoned == 0 {
		t.Fatal("no creation was abandoned")
	}
	n.restart()
	for _, name := range numbered("t", 8) {
		n.subscribe(name, "c", 1, plain).expect("kept")
	}
}

func TestTopicWhoseDeletionWasAbandonedLosesNothingLater(t *testing.T) {
	n := slowNode(t)
	for _, name := range numbered("t", 8) {
		n.publish(name, "deleted")
		if err := n.DeleteTopic(impatient(t), name); err != nil {
			t.Logf("delete %s: %v", name, err)
		}
		n.publish(name, "kept")
	}
	n.restart()
	for _, name := range numbered("t", 8) {
		n.subscribe(name, "c", 2, plain).expect("kept")
	}
}
