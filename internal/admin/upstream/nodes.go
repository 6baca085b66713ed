package upstream

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/nsqwire"
)

// Places say whom to ask for nodes: lookup services, or the nodes themselves, or both.
type Places struct {
	Lookupds []string
	Nodes    []string
}

// Node is a node, in the shape of nsqadmin's /api/nodes.
type Node struct {
	RemoteAddresses  []string    `json:"remote_addresses"` // lookup service/address that it connects from
	RemoteAddress    string      `json:"remote_address"`
	Hostname         string      `json:"hostname"`
	BroadcastAddress string      `json:"broadcast_address"`
	TCPPort          int         `json:"tcp_port"`
	HTTPPort         int         `json:"http_port"`
	Version          string      `json:"version"`
	TopologyZone     string      `json:"topology_zone,omitempty"`
	TopologyRegion   string      `json:"topology_region,omitempty"`
	Topics           []NodeEntry `json:"topics"`
	OutOfDate        bool        `json:"out_of_date"`

	// Address is where the node is asked: as it was given, or host:http_port as it says of itself.
	Address string `json:"-"`
	// Down says why a node that was named does not answer; nil otherwise.
	Down error `json:"-"`
}

// NodeEntry is a topic that a node is known to have.
type NodeEntry struct {
	Topic      string `json:"topic"`
	Tombstoned bool   `json:"tombstoned"`
}

// Name is host:http_port, which names the node in addresses and answers.
func (n *Node) Name() string { return net.JoinHostPort(n.BroadcastAddress, strconv.Itoa(n.HTTPPort)) }

// Has reports whether the node is known to have a topic.
func (n *Node) Has(topic string) bool {
	return slices.ContainsFunc(n.Topics, func(e NodeEntry) bool { return e.Topic == topic })
}

// Lookupds returns the lookup services that list the node.
func (n *Node) Lookupds() []string {
	list := []string{}
	for _, remote := range n.RemoteAddresses {
		lookupd, _, _ := strings.Cut(remote, "/")
		list = append(list, lookupd)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Nodes finds the nodes, sorted by host name and name. Those that were named and do not answer are there with Down set; topics of
// nodes that were named are told only if wanted, for that takes a request more.
func (c *Client) Nodes(ctx context.Context, places Places, topics bool) ([]*Node, Failures) {
	found := map[string]*Node{}
	var all []*Node
	listed, failures := c.listedNodes(ctx, places.Lookupds)
	for _, n := range listed {
		found[n.Name()] = n
		all = append(all, n)
	}
	var every *string
	if topics {
		every = new(string)
	}
	named, other := c.namedNodes(ctx, places.Nodes, every)
	failures.Add(other)
	for _, n := range named {
		if known := found[n.Name()]; known != nil {
			known.Address = n.Address // given by hand: better than what it says of itself
			known.Down = n.Down
			continue
		}
		found[n.Name()] = n
		all = append(all, n)
	}
	markOutOfDate(all)
	slices.SortFunc(all, compareNodes)
	return all, failures
}

// Producers are the nodes that have a topic, tombstoned ones left out. known tells that a lookup service or a node knows the topic.
func (c *Client) Producers(ctx context.Context, places Places, topic string) (nodes []*Node, known bool, failures Failures) {
	listed, known, failures := c.listedProducers(ctx, places.Lookupds, topic)
	named, other := c.namedNodes(ctx, places.Nodes, &topic)
	failures.Add(other)
	for _, n := range named {
		at := slices.IndexFunc(listed, func(l *Node) bool { return l.Name() == n.Name() })
		switch {
		case at >= 0:
			listed[at].Address = n.Address
		case n.Has(topic):
			listed = append(listed, n)
		}
	}
	slices.SortFunc(listed, compareNodes)
	return listed, known || len(listed) > 0, failures
}

// listedProducers asks the lookup services for a topic.
func (c *Client) listedProducers(ctx context.Context, lookupds []string, topic string) (nodes []*Node, known bool, failures Failures) {
	answers := make([][]lookupNode, len(lookupds))
	knows := make([]bool, len(lookupds))
	failures = each(ctx, c, lookupds, func(ctx context.Context, i int, address string) error {
		var answer struct {
			Producers []lookupNode `json:"producers"`
		}
		err := c.Get(ctx, address, "/lookup?topic="+url.QueryEscape(topic), &answer)
		if refused := new(AnswerError); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
			return nil // it is there, and does not know the topic
		}
		answers[i], knows[i] = answer.Producers, err == nil
		return err
	})
	for i, producers := range answers {
		for j := range producers {
			producers[j].Topics, producers[j].Tombstones = []string{topic}, nil
		}
		answers[i] = producers
	}
	return merge(lookupds, answers), slices.Contains(knows, true), failures
}

// listedNodes asks the lookup services, and merges what several say of one node.
func (c *Client) listedNodes(ctx context.Context, lookupds []string) ([]*Node, Failures) {
	answers := make([][]lookupNode, len(lookupds))
	failures := each(ctx, c, lookupds, func(ctx context.Context, i int, address string) error {
		var answer struct {
			Producers []lookupNode `json:"producers"`
		}
		err := c.Get(ctx, address, "/nodes", &answer)
		answers[i] = answer.Producers
		return err
	})
	return merge(lookupds, answers), failures
}

// merge joins what the lookup services say. What cannot be a node is left out.
func merge(lookupds []string, answers [][]lookupNode) []*Node {
	byName := map[string]*Node{}
	var all []*Node
	for i, producers := range answers {
		for j := range producers {
			p := &producers[j]
			if p.BroadcastAddress == "" || p.HTTPPort < 1 || p.HTTPPort > 65535 {
				continue
			}
			n := newListed(p)
			if known := byName[n.Name()]; known != nil {
				n = known
			} else {
				byName[n.Name()] = n
				all = append(all, n)
			}
			n.RemoteAddresses = append(n.RemoteAddresses, lookupds[i]+"/"+cmp.Or(p.RemoteAddress, "N/A"))
			n.addTopics(p.Topics, p.Tombstones)
		}
	}
	for _, n := range all {
		n.sortTopics()
		slices.Sort(n.RemoteAddresses)
	}
	return all
}

// addTopics appends what one lookup service says of a node's topics.
func (n *Node) addTopics(topics []string, tombstones []bool) {
	for i, topic := range topics {
		if nsqwire.ValidName(topic) {
			n.Topics = append(n.Topics, NodeEntry{topic, i < len(tombstones) && tombstones[i]})
		}
	}
}

// sortTopics sorts the topics and drops what is said twice; a tombstone at one lookup service counts.
func (n *Node) sortTopics() {
	slices.SortFunc(n.Topics, func(a, b NodeEntry) int {
		if a.Topic == b.Topic && a.Tombstoned != b.Tombstoned {
			if a.Tombstoned {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Topic, b.Topic)
	})
	n.Topics = slices.CompactFunc(n.Topics, func(a, b NodeEntry) bool { return a.Topic == b.Topic })
}

func newListed(p *lookupNode) *Node {
	n := &Node{
		RemoteAddress: p.RemoteAddress, Hostname: p.Hostname, BroadcastAddress: p.BroadcastAddress, TCPPort: p.TCPPort, HTTPPort: p.HTTPPort,
		Version: p.Version, TopologyZone: p.TopologyZone, TopologyRegion: p.TopologyRegion, Topics: []NodeEntry{},
	}
	n.Address = n.Name()
	return n
}

// namedNodes asks nodes for themselves. With topic they are asked whether they have it, or, if it is empty, for all topics. Each
// is in the answer; one that gives none has Down set, and the name that it was given by.
func (c *Client) namedNodes(ctx context.Context, addresses []string, topic *string) ([]*Node, Failures) {
	nodes := make([]*Node, len(addresses))
	failures := each(ctx, c, addresses, func(ctx context.Context, i int, address string) error {
		nodes[i] = unnamed(address)
		var info nodeInfo
		err := c.Get(ctx, address, "/info", &info)
		if err == nil {
			nodes[i].describe(&info)
		}
		if err == nil && topic != nil {
			var stats *NodeStats
			if stats, err = c.Stats(ctx, address, Ask{Topic: *topic}); err == nil {
				for _, t := range stats.Topics {
					nodes[i].Topics = append(nodes[i].Topics, NodeEntry{Topic: t.TopicName})
				}
				nodes[i].sortTopics()
			}
		}
		nodes[i].Down = err
		return err
	})
	return nodes, failures
}

// unnamed is a node of which only the address is known.
func unnamed(address string) *Node {
	n := &Node{Address: address, RemoteAddresses: []string{}, Topics: []NodeEntry{}}
	plain := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(address, "http://"), "https://"), "/")
	host, port, err := net.SplitHostPort(plain)
	if err != nil {
		host = plain
	}
	n.BroadcastAddress, n.Hostname = host, host
	n.HTTPPort, _ = strconv.Atoi(port)
	return n
}

// describe takes over what a node says of itself; old ones do not say where they are.
func (n *Node) describe(info *nodeInfo) {
	if info.BroadcastAddress != "" && info.HTTPPort > 0 {
		n.BroadcastAddress, n.HTTPPort = info.BroadcastAddress, info.HTTPPort
	}
	n.Hostname = cmp.Or(info.Hostname, n.Hostname)
	n.TCPPort, n.Version = info.TCPPort, info.Version
	n.TopologyZone, n.TopologyRegion = info.TopologyZone, info.TopologyRegion
}

func compareNodes(a, b *Node) int {
	return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.Name(), b.Name()))
}
