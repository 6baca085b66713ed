package broker_test

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestRetentionKeepsTheBacklogThatAFirstChannelIsJustTaking(t *testing.T) {
	o := hostile.Benign()
	o.SegmentBytes = 100
	n := newNodeWith(t, o, func(o *broker.Options) {
		o.Retain = -1
		o.KeepInterval = time.Nanosecond // without a pause
	})
	for _, name := range numbered("t", 300) {
		for _, body := range numbered("", 6) {
			n.publish(name, body)
		}
		n.channel(name, "c")
		time.Sleep(time.Millisecond) // for what is wrongly deleted to go
		c := n.subscribe(name, "c", 6, plain)
		c.expect(numbered("", 6)...)
		c.sub.Close()
		if err := n.DeleteTopic(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}
