package cluster

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// refused counts the proposals that hear of no leader.
type refused struct{ atomic.Int32 }

func (n *refused) Proposed(p *broker.Proposal) {
	if errors.Is(p.Err, broker.ErrNoLeader) {
		n.Add(1)
	}
}

// However many wait for a leader, each hears within the relay's patience that there is none.
func TestAllThatWaitForALeaderHearInTimeThatThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Cluster{self: 1, places: map[broker.LogID]*place{}, relays: map[broker.LogID]*relay{}, up: map[catalog.NodeID]bool{}}
		const proposals = 10 * relayWindow
		var heard refused
		for range proposals {
			var b record.Builder
			for range 20 { // too many to be merged
				b.Append([]byte("message"), 0)
			}
			c.Publish(broker.LogID{Topic: 1}, &broker.Proposal{Kind: record.KindBatch, Payload: b.Finish(1), Messages: 20, Owner: &heard})
		}
		time.Sleep(relayPatience + 2*relayPauseMax)
		synctest.Wait()
		if n := heard.Load(); n != proposals {
			t.Errorf("%d of %d have heard", n, proposals)
		}
		time.Sleep(20 * relayPatience)
	})
}
