package lookupd

import (
	"io"
	"net/http"
	"time"

	"github.com/weirmq/weir/internal/httpdoor"
	"github.com/weirmq/weir/internal/lookup/registry"
	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// ping is GET /ping.
func ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "OK")
}

// info is GET /info.
func (s *Server) info(*http.Request) (any, error) {
	return struct {
		Version string `json:"version"`
	}{s.options.Version}, nil
}

// topics is GET /topics: the names of all known ones.
func (s *Server) topics(*http.Request) (any, error) {
	var answer struct {
		Topics []string `json:"topics"`
	}
	s.ask(func(reg *registry.Registry, _ time.Time) { answer.Topics = reg.Topics() })
	return answer, nil
}

// channels is GET /channels?topic=T: the names of all that are known; none of an unknown topic.
func (s *Server) channels(r *http.Request) (any, error) {
	topic, _, err := topicOf(r)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Channels []string `json:"channels"`
	}
	s.ask(func(reg *registry.Registry, _ time.Time) { answer.Channels = reg.Channels(topic) })
	return answer, nil
}

// lookup is GET /lookup?topic=T: the channels, and the brokers to consume from.
func (s *Server) lookup(r *http.Request) (any, error) {
	topic, _, err := topicOf(r)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Channels  []string          `json:"channels"`
		Producers []lookupwire.Peer `json:"producers"`
	}
	known := false
	s.ask(func(reg *registry.Registry, now time.Time) {
		answer.Producers, known = reg.Lookup(topic, now)
		answer.Channels = reg.Channels(topic)
	})
	if !known {
		return nil, httpdoor.NewError(http.StatusNotFound, "TOPIC_NOT_FOUND")
	}
	return answer, nil
}

// nodes is GET /nodes: all brokers with their topics.
func (s *Server) nodes(*http.Request) (any, error) {
	var answer struct {
		Producers []*registry.Node `json:"producers"`
	}
	s.ask(func(reg *registry.Registry, now time.Time) { answer.Producers = reg.Nodes(now) })
	return answer, nil
}

// debugEntry is a broker under one key of /debug; times are Unix nanoseconds, 0 for never. The keys keep nsqlookupd's order.
type debugEntry struct {
	BroadcastAddress string `json:"broadcast_address"`
	Hostname         string `json:"hostname"`
	HTTPPort         int    `json:"http_port"`
	ID               string `json:"id"`
	LastUpdate       int64  `json:"last_update"`
	TCPPort          int    `json:"tcp_port"`
	Tombstoned       bool   `json:"tombstoned"`
	TombstonedAt     int64  `json:"tombstoned_at"`
	TopologyRegion   string `json:"topology_region"`
	TopologyZone     string `json:"topology_zone"`
	Version          string `json:"version"`
}

// debug is GET /debug: everything that is known, hidden or not.
func (s *Server) debug(*http.Request) (any, error) {
	var dump map[string][]registry.Entry
	s.ask(func(reg *registry.Registry, _ time.Time) { dump = reg.Dump() })
	answer := make(map[string][]debugEntry, len(dump))
	for name, entries := range dump {
		answer[name] = make([]debugEntry, len(entries))
		for i, e := range entries {
			d := debugEntry{
				ID: string(e.ID), Hostname: e.Peer.Hostname, BroadcastAddress: e.Peer.BroadcastAddress,
				TCPPort: e.Peer.TCPPort, HTTPPort: e.Peer.HTTPPort, Version: e.Peer.Version,
				TopologyZone: e.Peer.TopologyZone, TopologyRegion: e.Peer.TopologyRegion,
				LastUpdate: e.LastUpdate.UnixNano(), Tombstoned: e.Tombstoned,
			}
			if e.Tombstoned {
				d.TombstonedAt = e.TombstonedTime.UnixNano()
			}
			answer[name][i] = d
		}
	}
	return answer, nil
}
