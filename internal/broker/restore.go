package broker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// Restore implements Machine. A channel that the state has under the same id stays the object that it is, with its
// subscriptions; the others of before are closed. Ephemeral channels are none of the state's business and stay.
func (p *partition) Restore(state []byte, at record.Index) error {
	st, err := decodeState(state, p.broker.queueOptions())
	if err != nil {
		return fmt.Errorf("checkpoint at %d: %w", at, err)
	}
	p.mu.Lock()
	created, vanished := p.installLocked(st)
	p.mu.applied = at
	p.mu.arrivals.reachedLocked(at)
	p.mu.Unlock()
	p.sinceCheckpoint.Store(0)
	for _, ch := range vanished {
		ch.close(ErrChannelNotFound)
	}
	for _, ch := range created {
		p.topic.attach(ch)
	}
	return nil
}

// installLocked replaces the state and returns the channels that are new in it, and those that are not in it any more, for the
// caller to tell sessions once it has released the mutex.
func (p *partition) installLocked(st *partitionState) (created, vanished []*Channel) {
	vanished = slices.Collect(maps.Values(p.mu.channels))
	vanished = slices.DeleteFunc(vanished, func(ch *Channel) bool { return ch.ephemeral })
	before := maps.Clone(p.mu.channels)
	for _, ch := range vanished {
		delete(p.mu.channels, ch.id)
		delete(p.mu.byName, ch.name)
	}
	p.mu.dispatch, p.mu.relays = st.dispatch, st.relays
	for _, c := range st.channels {
		ch := before[c.id]
		if ch != nil && ch.name == c.name {
			ch.restore(c.queue)
			vanished = slices.DeleteFunc(vanished, func(o *Channel) bool { return o == ch })
		} else {
			ch = newChannel(p, c.id, c.name, c.queue)
			created = append(created, ch)
		}
		p.addLocked(ch)
	}
	p.listLocked()
	p.publishEndsLocked()
	return created, vanished
}
