package broker_test

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/hostile"
)

// Commits and turns that find nothing meet here as often as a test can make them: whatever was published last must be delivered
// without anything else coming after it.
func TestLastMessageNeverSleeps(t *testing.T) {
	const messages, ahead = 5_000, 1 // a second one would wake for the first
	n := newNode(t, hostile.Benign())
	c := n.subscribe("t", "c", 100, plain)
	topic := n.topic("t")
	aheadC := make(chan struct{}, ahead)
	go func() {
		for range messages {
			aheadC <- struct{}{}
			_ = publish(topic, time.Time{}, "m") // refused only at the end of a failed test
		}
	}()
	for got := range messages {
		d, ok := c.poll(2 * time.Second)
		if !ok {
			t.Fatalf("%d delivered of %d, the next sleeps", got, messages)
		}
		c.finish(d.id)
		<-aheadC
	}
}
