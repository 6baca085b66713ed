package registry

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// Node is a broker as /nodes shows it: its topics, sorted, and whether it is hidden from each.
type Node struct {
	lookupwire.Peer
	Tombstones []bool   `json:"tombstones"`
	Topics     []string `json:"topics"`
}

// Entry is a broker under one key, as /debug shows it.
type Entry struct {
	ID             PeerID
	Peer           lookupwire.Peer
	LastUpdate     time.Time
	Tombstoned     bool
	TombstonedTime time.Time // zero if never
}

// Topics returns the known topics, sorted.
func (r *Registry) Topics() []string {
	names := []string{}
	for name, channels := range r.topics {
		if _, known := channels[""]; known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Channels returns the known channels of a topic, sorted.
func (r *Registry) Channels(topic string) []string {
	names := []string{}
	for name := range r.topics[topic] {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Lookup returns the brokers that have a topic and are not hidden, sorted by address. It reports whether the topic is known.
func (r *Registry) Lookup(topic string, now time.Time) ([]lookupwire.Peer, bool) {
	have, known := r.topics[topic][""]
	found := []lookupwire.Peer{}
	for id, p := range have {
		if r.active(r.peers[id], now) && !p.hidden(now, r.options.TombstoneLifetime) {
			found = append(found, r.peers[id].Peer)
		}
	}
	slices.SortFunc(found, func(x, y lookupwire.Peer) int { return comparePeers(&x, &y) })
	return found, known
}

// Nodes returns the brokers that are not inactive, sorted by address.
func (r *Registry) Nodes(now time.Time) []*Node {
	nodes := make([]*Node, 0, len(r.peers))
	byID := make(map[PeerID]*Node, len(r.peers))
	for id, p := range r.peers {
		if r.active(p, now) {
			n := &Node{Peer: p.Peer, Tombstones: []bool{}, Topics: []string{}}
			nodes, byID[id] = append(nodes, n), n
		}
	}
	for _, topic := range r.Topics() { // in order, so that each node's are
		for id, p := range r.topics[topic][""] {
			if n := byID[id]; n != nil {
				n.Topics = append(n.Topics, topic)
				n.Tombstones = append(n.Tombstones, p.hidden(now, r.options.TombstoneLifetime))
			}
		}
	}
	slices.SortFunc(nodes, func(x, y *Node) int { return comparePeers(&x.Peer, &y.Peer) })
	return nodes
}

// Dump returns all brokers, hidden or not, by nsqlookupd's names of the keys that they have: "client::", "topic:T:", "channel:T:C".
func (r *Registry) Dump() map[string][]Entry {
	all := make(map[string][]Entry)
	for id, p := range r.peers {
		all["client::"] = append(all["client::"], Entry{ID: id, Peer: p.Peer, LastUpdate: p.heard})
	}
	for topic, channels := range r.topics {
		for channel, have := range channels {
			name := "topic:" + topic + ":"
			if channel != "" {
				name = "channel:" + topic + ":" + channel
			}
			for id, p := range have {
				all[name] = append(all[name], Entry{
					ID: id, Peer: r.peers[id].Peer, LastUpdate: r.peers[id].heard,
					Tombstoned: !p.tombstonedAt.IsZero(), TombstonedTime: p.tombstonedAt,
				})
			}
		}
	}
	for _, entries := range all {
		slices.SortFunc(entries, func(x, y Entry) int { return comparePeers(&x.Peer, &y.Peer) })
	}
	return all
}

func (r *Registry) active(p *peer, now time.Time) bool {
	return now.Sub(p.heard) <= r.options.InactiveTimeout
}

// node is how Tombstone names a broker.
func (p *peer) node() string { return p.BroadcastAddress + ":" + strconv.Itoa(p.HTTPPort) }

func comparePeers(x, y *lookupwire.Peer) int {
	if c := cmp.Compare(x.BroadcastAddress, y.BroadcastAddress); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(x.TCPPort, y.TCPPort), cmp.Compare(x.RemoteAddress, y.RemoteAddress))
}
