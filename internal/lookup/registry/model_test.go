package registry

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// model is the registry without an index: a list of facts, searched for every question.
type model struct {
	peers []modelPeer
	known []key
	have  []modelHave
}

type modelPeer struct {
	id    PeerID
	peer  lookupwire.Peer
	heard time.Time
}

type modelHave struct {
	id    PeerID
	key   key
	stone time.Time
}

const (
	testInactive  = 50 * time.Second
	testTombstone = 20 * time.Second
)

func (m *model) know(k key) {
	if !slices.Contains(m.known, k) {
		m.known = append(m.known, k)
	}
}

func (m *model) add(id PeerID, k key) {
	m.know(k)
	if !slices.ContainsFunc(m.have, func(h modelHave) bool { return h.id == id && h.key == k }) {
		m.have = append(m.have, modelHave{id: id, key: k})
	}
}

func (m *model) remove(is func(modelHave) bool) { m.have = slices.DeleteFunc(m.have, is) }

func (m *model) forget(is func(key) bool) {
	m.known = slices.DeleteFunc(m.known, is)
	m.remove(func(h modelHave) bool { return is(h.key) })
}

// sweep forgets ephemeral keys among some that nobody has.
func (m *model) sweep(among func(key) bool) {
	m.known = slices.DeleteFunc(m.known, func(k key) bool {
		last := k.channel
		if last == "" {
			last = k.topic
		}
		return among(k) && strings.HasSuffix(last, "#ephemeral") &&
			!slices.ContainsFunc(m.have, func(h modelHave) bool { return h.key == k })
	})
}

func (m *model) peer(id PeerID) *modelPeer {
	i := slices.IndexFunc(m.peers, func(p modelPeer) bool { return p.id == id })
	if i < 0 {
		return nil
	}
	return &m.peers[i]
}

func (m *model) keysOf(id PeerID) []key {
	var keys []key
	for _, h := range m.have {
		if h.id == id {
			keys = append(keys, h.key)
		}
	}
	return keys
}

// check compares every answer of the registry with the model's.
func (m *model) check(t *rapid.T, r *Registry, now time.Time) {
	topics := []string{}
	for _, k := range m.known {
		if k.channel == "" {
			topics = append(topics, k.topic)
		}
	}
	slices.Sort(topics)
	if got := r.Topics(); !reflect.DeepEqual(got, topics) {
		t.Fatalf("topics %q, want %q", got, topics)
	}
	for _, topic := range modelTopics {
		channels := []string{}
		for _, k := range m.known {
			if k.topic == topic && k.channel != "" {
				channels = append(channels, k.channel)
			}
		}
		slices.Sort(channels)
		if got := r.Channels(topic); !reflect.DeepEqual(got, channels) {
			t.Fatalf("channels of %s %q, want %q", topic, got, channels)
		}
		want := []int{}
		for _, h := range m.have {
			p := m.peer(h.id)
			if h.key == (key{topic, ""}) && now.Sub(p.heard) <= testInactive && (h.stone.IsZero() || now.Sub(h.stone) >= testTombstone) {
				want = append(want, p.peer.TCPPort)
			}
		}
		slices.Sort(want)
		found, known := r.Lookup(topic, now)
		got := []int{}
		for _, p := range found {
			got = append(got, p.TCPPort)
		}
		if !reflect.DeepEqual(got, want) || known != slices.Contains(topics, topic) {
			t.Fatalf("lookup of %s: %v %v, want %v", topic, got, known, want)
		}
	}
	m.checkNodes(t, r, now)
	if n := len(m.known) + len(m.have); n != r.entries {
		t.Fatalf("%d entries counted, there are %d", r.entries, n)
	}
}

func (m *model) checkNodes(t *rapid.T, r *Registry, now time.Time) {
	want := map[int]string{}
	for _, p := range m.peers {
		if now.Sub(p.heard) > testInactive {
			continue
		}
		lines := []string{}
		for _, h := range m.have {
			if h.id == p.id && h.key.channel == "" {
				lines = append(lines, fmt.Sprint(h.key.topic, !h.stone.IsZero() && now.Sub(h.stone) < testTombstone))
			}
		}
		slices.Sort(lines)
		want[p.peer.TCPPort] = strings.Join(lines, " ")
	}
	got := map[int]string{}
	for _, n := range r.Nodes(now) {
		lines := []string{}
		for i, topic := range n.Topics {
			lines = append(lines, fmt.Sprint(topic, n.Tombstones[i]))
		}
		got[n.TCPPort] = strings.Join(lines, " ")
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("nodes %v, want %v", got, want)
	}
}

var (
	modelTopics   = []string{"t", "u", "e#ephemeral"}
	modelChannels = []string{"c", "d", "x#ephemeral"}
)

func TestRegistryIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New(Options{InactiveTimeout: testInactive, TombstoneLifetime: testTombstone, MaxEntries: 1000})
		m := new(model)
		now := time.Unix(1_000_000, 0)
		opened := 0
		topic := func() string { return rapid.SampledFrom(modelTopics).Draw(t, "topic") }
		channel := func() string { return rapid.SampledFrom(modelChannels).Draw(t, "channel") }
		anybody := func() PeerID {
			if len(m.peers) == 0 {
				t.Skip("nobody is there")
			}
			return rapid.SampledFrom(m.peers).Draw(t, "peer").id
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { m.check(t, r, now) },
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "s")) * time.Second)
			},
			"identify": func(t *rapid.T) {
				if len(m.peers) > 3 {
					t.Skip("enough")
				}
				opened++
				id := PeerID(fmt.Sprint("peer", opened))
				p := lookupwire.Peer{BroadcastAddress: "b", TCPPort: opened, HTTPPort: 100 + opened%2}
				r.Identify(id, p, now)
				m.peers = append(m.peers, modelPeer{id, p, now})
			},
			"ping": func(t *rapid.T) {
				id := anybody()
				r.Ping(id, now)
				m.peer(id).heard = now
			},
			"disconnect": func(t *rapid.T) {
				id := anybody()
				keys := m.keysOf(id)
				r.Disconnect(id)
				m.remove(func(h modelHave) bool { return h.id == id })
				m.sweep(func(k key) bool { return slices.Contains(keys, k) })
				m.peers = slices.DeleteFunc(m.peers, func(p modelPeer) bool { return p.id == id })
			},
			"register topic": func(t *rapid.T) {
				id, name := anybody(), topic()
				if err := r.Register(id, name, ""); err != nil {
					t.Fatal(err)
				}
				m.add(id, key{name, ""})
			},
			"register channel": func(t *rapid.T) {
				id, name, ch := anybody(), topic(), channel()
				if err := r.Register(id, name, ch); err != nil {
					t.Fatal(err)
				}
				m.add(id, key{name, ""})
				m.add(id, key{name, ch})
			},
			"unregister topic": func(t *rapid.T) {
				id, name := anybody(), topic()
				r.Unregister(id, name, "")
				m.remove(func(h modelHave) bool { return h.id == id && h.key.topic == name })
				m.sweep(func(k key) bool { return k.topic == name })
			},
			"unregister channel": func(t *rapid.T) {
				id, k := anybody(), key{topic(), channel()}
				r.Unregister(id, k.topic, k.channel)
				m.remove(func(h modelHave) bool { return h.id == id && h.key == k })
				m.sweep(func(other key) bool { return other == k })
			},
			"create": func(t *rapid.T) {
				k := key{topic(), channel()}
				if err := r.CreateChannel(k.topic, k.channel); err != nil {
					t.Fatal(err)
				}
				m.know(key{k.topic, ""})
				m.know(k)
			},
			"delete topic": func(t *rapid.T) {
				name := topic()
				r.DeleteTopic(name)
				m.forget(func(k key) bool { return k.topic == name })
			},
			"delete channel": func(t *rapid.T) {
				k := key{topic(), channel()}
				if got, want := r.DeleteChannel(k.topic, k.channel), slices.Contains(m.known, k); got != want {
					t.Fatalf("DeleteChannel(%v) = %v", k, got)
				}
				m.forget(func(other key) bool { return other == k })
			},
			"tombstone": func(t *rapid.T) {
				name, port := topic(), 100+rapid.IntRange(0, 1).Draw(t, "port")
				r.Tombstone(name, fmt.Sprint("b:", port), now)
				for i, h := range m.have {
					if h.key == (key{name, ""}) && m.peer(h.id).peer.HTTPPort == port {
						m.have[i].stone = now
					}
				}
			},
		})
	})
}
