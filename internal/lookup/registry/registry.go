// Package registry holds what a lookup service knows: which brokers there are, and which topics and channels each of them has.
// Pure: no goroutine, lock, clock or I/O; the caller serialises calls and says what time it is.
//
//	Registry ── peers    PeerID → Peer, time of its last word, its keys
//	         └─ topics   topic → channel → producers: PeerID → tombstone      a key is a topic and a channel;
//	                             ""  stands for the topic itself              no channel: the topic itself
//
// The rules are those of nsqlookupd 1.3.0. A key that was registered once, or created by hand, stays known without anybody who has
// it, so that a topic's channels are made on the next broker that gets the topic; only ephemeral ones go with the last who has
// them. Here they do so however that one goes: nsqlookupd forgets them at an UNREGISTER of their own only, and keeps for ever what
// a broker that was killed had. A broker is hidden when it said nothing for Options.InactiveTimeout, and from one topic for
// Options.TombstoneLifetime after Tombstone.
package registry

import (
	"errors"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// ErrFull means that the registry holds Options.MaxEntries already.
var ErrFull = errors.New("too many registrations")

// PeerID tells connections of brokers apart: the remote address.
type PeerID string

// Options of a Registry.
type Options struct {
	// InactiveTimeout is how long a broker may say nothing before it is hidden.
	InactiveTimeout time.Duration
	// TombstoneLifetime is how long a tombstone hides a broker.
	TombstoneLifetime time.Duration
	// MaxEntries bounds the sum of keys and of brokers that have one.
	MaxEntries int
}

// key names a topic, or a channel of one.
type key struct{ topic, channel string }

// ephemeral reports whether the key goes with the last broker that has it.
func (k key) ephemeral() bool {
	if k.channel != "" {
		return nsqwire.IsEphemeral(k.channel)
	}
	return nsqwire.IsEphemeral(k.topic)
}

// Registry is the state of one lookup service.
type Registry struct {
	options Options
	peers   map[PeerID]*peer
	topics  map[string]map[string]producers // topic → channel, "" for the topic itself
	entries int
}

type peer struct {
	lookupwire.Peer
	heard time.Time
	keys  map[key]struct{}
}

// producers are the brokers that have a key.
type producers map[PeerID]*producer

type producer struct {
	tombstonedAt time.Time // zero: not
}

func (p *producer) hidden(now time.Time, lifetime time.Duration) bool {
	return !p.tombstonedAt.IsZero() && now.Sub(p.tombstonedAt) < lifetime
}

// New returns an empty registry.
func New(options Options) *Registry {
	return &Registry{options: options, peers: make(map[PeerID]*peer), topics: make(map[string]map[string]producers)}
}

// Identify makes a broker known, by an id that no connected broker has.
func (r *Registry) Identify(id PeerID, p lookupwire.Peer, now time.Time) {
	r.peers[id] = &peer{Peer: p, heard: now, keys: make(map[key]struct{})}
}

// Ping notes that an identified broker is there.
func (r *Registry) Ping(id PeerID, now time.Time) { r.peers[id].heard = now }

// Disconnect forgets an identified broker and what it has.
func (r *Registry) Disconnect(id PeerID) {
	for k := range r.peers[id].keys {
		r.leave(k, id)
	}
	delete(r.peers, id)
}

// Register notes that an identified broker has a topic, and a channel of it unless that is empty. Error: ErrFull.
func (r *Registry) Register(id PeerID, topic, channel string) error {
	if err := r.create(topic, channel); err != nil {
		return err
	}
	r.join(key{topic, ""}, id)
	if channel != "" {
		r.join(key{topic, channel}, id)
	}
	return nil
}

// Unregister notes that an identified broker has a channel no more, or if that is empty, a topic with all its channels.
func (r *Registry) Unregister(id PeerID, topic, channel string) {
	if channel == "" {
		for name := range r.topics[topic] {
			if name != "" {
				r.leave(key{topic, name}, id)
			}
		}
	}
	r.leave(key{topic, channel}, id)
}

// CreateTopic makes a topic known that no broker need have. Error: ErrFull.
func (r *Registry) CreateTopic(topic string) error { return r.create(topic, "") }

// CreateChannel makes a channel and its topic known. Error: ErrFull.
func (r *Registry) CreateChannel(topic, channel string) error { return r.create(topic, channel) }

// DeleteTopic forgets a topic and its channels, whoever has them.
func (r *Registry) DeleteTopic(topic string) {
	for channel := range r.topics[topic] {
		r.forget(key{topic, channel})
	}
}

// DeleteChannel forgets a channel, whoever has it. It reports whether it was known.
func (r *Registry) DeleteChannel(topic, channel string) bool {
	_, known := r.topics[topic][channel]
	if known {
		r.forget(key{topic, channel})
	}
	return known
}

// Tombstone hides a broker from a topic for a while: the one with that broadcast address and HTTP port, "host:port".
func (r *Registry) Tombstone(topic, node string, now time.Time) {
	for id, p := range r.topics[topic][""] {
		if r.peers[id].node() == node {
			p.tombstonedAt = now
		}
	}
}

// create makes a topic, and a channel unless that is empty, known; with room for a broker that has both.
func (r *Registry) create(topic, channel string) error {
	if r.entries+4 > r.options.MaxEntries {
		return ErrFull
	}
	channels := r.topics[topic]
	if channels == nil {
		channels = make(map[string]producers)
		r.topics[topic] = channels
	}
	for _, name := range []string{"", channel} {
		if channels[name] == nil {
			channels[name] = make(producers)
			r.entries++
		}
	}
	return nil
}

// join notes that a broker has a known key; a tombstone that it has for it stays.
func (r *Registry) join(k key, id PeerID) {
	have := r.topics[k.topic][k.channel]
	if have[id] == nil {
		have[id] = new(producer)
		r.peers[id].keys[k] = struct{}{}
		r.entries++
	}
}

// leave notes that a broker has a key no more. An ephemeral key that nobody has is forgotten.
func (r *Registry) leave(k key, id PeerID) {
	have, known := r.topics[k.topic][k.channel]
	if have[id] != nil {
		delete(have, id)
		delete(r.peers[id].keys, k)
		r.entries--
	}
	if known && len(have) == 0 && k.ephemeral() {
		r.forget(k)
	}
}

// forget removes a key and takes it from everybody.
func (r *Registry) forget(k key) {
	channels := r.topics[k.topic]
	for id := range channels[k.channel] {
		delete(r.peers[id].keys, k)
		r.entries--
	}
	delete(channels, k.channel)
	r.entries--
	if len(channels) == 0 {
		delete(r.topics, k.topic)
	}
}
