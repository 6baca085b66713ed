package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/weirmq/weir/internal/nsqwire"
)

// lookupNode is a producer as a lookup service lists it.
type lookupNode struct {
	RemoteAddress    string   `json:"remote_address"`
	Hostname         string   `json:"hostname"`
	BroadcastAddress string   `json:"broadcast_address"`
	TCPPort          int      `json:"tcp_port"`
	HTTPPort         int      `json:"http_port"`
	Version          string   `json:"version"`
	TopologyZone     string   `json:"topology_zone"`
	TopologyRegion   string   `json:"topology_region"`
	Tombstones       []bool   `json:"tombstones"`
	Topics           []string `json:"topics"`
}

// LookupTopics returns the topics that the lookup services know, sorted.
func (c *Client) LookupTopics(ctx context.Context, lookupds []string) ([]string, Failures) {
	lists := make([][]string, len(lookupds))
	failures := each(ctx, c, lookupds, func(ctx context.Context, i int, address string) error {
		var answer struct {
			Topics []string `json:"topics"`
		}
		err := c.Get(ctx, address, "/topics", &answer)
		lists[i] = answer.Topics
		return err
	})
	return union(lists), failures
}

// LookupChannels returns the channels of a topic that the lookup services know, sorted.
func (c *Client) LookupChannels(ctx context.Context, lookupds []string, topic string) ([]string, Failures) {
	lists := make([][]string, len(lookupds))
	failures := each(ctx, c, lookupds, func(ctx context.Context, i int, address string) error {
		var answer struct {
			Channels []string `json:"channels"`
		}
		err := c.Get(ctx, address, "/channels?topic="+url.QueryEscape(topic), &answer)
		lists[i] = answer.Channels
		return err
	})
	return union(lists), failures
}

// LookupdState is whether a lookup service answers.
type LookupdState struct {
	Address string `json:"address"`
	Up      bool   `json:"up"`
	Error   string `json:"error"`
}

// union merges lists of names, without what is no name of a topic or channel.
func union(lists [][]string) []string {
	all := slices.Concat(lists...)
	all = slices.DeleteFunc(all, func(name string) bool { return !nsqwire.ValidName(name) })
	slices.Sort(all)
	all = slices.Compact(all)
	if all == nil {
		return []string{}
	}
	return all
}

// TopicNames returns all topics: those that the lookup services know, and those of the nodes that were named.
func (c *Client) TopicNames(ctx context.Context, places Places) ([]string, Failures) {
	names, failures := c.LookupTopics(ctx, places.Lookupds)
	lists := make([][]string, len(places.Nodes)+1)
	lists[len(places.Nodes)] = names
	failures.Add(each(ctx, c, places.Nodes, func(ctx context.Context, i int, address string) error {
		stats, err := c.Stats(ctx, address, Ask{})
		if err == nil {
			for _, t := range stats.Topics {
				lists[i] = append(lists[i], t.TopicName)
			}
		}
		return err
	}))
	return union(lists), failures
}

// Ping asks lookup services whether they are there.
func (c *Client) Ping(ctx context.Context, lookupds []string) []LookupdState {
	states := make([]LookupdState, len(lookupds))
	each(ctx, c, lookupds, func(ctx context.Context, i int, address string) error {
		states[i] = LookupdState{Address: address, Up: true}
		if _, err := c.call(ctx, http.MethodGet, address, "/ping", nil); err != nil {
			states[i].Up, states[i].Error = false, err.Error()
		}
		return nil
	})
	return states
}
