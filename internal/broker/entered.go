package broker

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// entered are the subscriptions of a topic, by channel: also those of channels that some replica does not have yet.
//
// Concurrency: mu guards the map and is held for nothing else.
type entered struct {
	mu        sync.Mutex
	byChannel map[string]map[*Subscription]struct{}
}

// enter notes a subscription, unless its channel has as many as it may.
func (t *Topic) enter(s *Subscription) error {
	e := &t.entered
	e.mu.Lock()
	defer e.mu.Unlock()
	subs := e.byChannel[s.name]
	if most := t.broker.options.MaxChannelConsumers; most > 0 && len(subs) >= most {
		return fmt.Errorf("consumers for %s:%s exceeds limit of %d", t.name, s.name, most) // nsqd's words
	}
	if subs == nil {
		subs = make(map[*Subscription]struct{})
		if e.byChannel == nil {
			e.byChannel = make(map[string]map[*Subscription]struct{})
		}
		e.byChannel[s.name] = subs
		t.broker.changes.note()
	}
	subs[s] = struct{}{}
	return nil
}

// leave forgets a subscription.
func (t *Topic) leave(s *Subscription) {
	e := &t.entered
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byChannel[s.name], s)
	if len(e.byChannel[s.name]) == 0 {
		delete(e.byChannel, s.name)
		t.broker.changes.note()
	}
}

// of returns the subscriptions of a channel.
func (e *entered) of(channel string) []*Subscription {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.byChannel[channel]))
}

// channels returns the names of the channels that have subscriptions.
func (e *entered) channels() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.byChannel))
}

// attach lets the subscriptions of a channel into the channel that has come to a partition.
func (t *Topic) attach(ch *Channel) {
	for _, s := range t.entered.of(ch.name) {
		_ = s.take(ch) // closed meanwhile: whoever closes it tells the subscription
	}
}

// dismiss sends all subscriptions away.
func (t *Topic) dismiss(err error) {
	for _, name := range t.entered.channels() {
		for _, s := range t.entered.of(name) {
			s.dismiss(err)
		}
	}
}
