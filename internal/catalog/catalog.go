// Package catalog holds what the nodes of a cluster, or a lone node, know in common: the topics with their incarnations,
// partitions and replicas, the nodes, and settings. It is a state machine over a log of its own: it changes only by applying
// committed commands, in log order, alike on every node. It is pure: no goroutine, lock, clock or I/O; the caller serialises
// access.
//
// A topic's ID is drawn at random by the node that creates it, before the command is proposed. A lone node makes the topic's log
// first: a topic in its catalog always has its log, so that a missing one is damage and not a topic never finished. The nodes of
// a cluster make their replicas' logs when they learn of the topic. A re-created topic gets another ID; the ID is also the salt
// of its message ids.
package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// NodeID names a node of a cluster for all time: a small number, given out once and never again. 0 is none.
type NodeID uint64

// Node is a member of the cluster.
type Node struct {
	ID   NodeID
	Name string
	// Host is the name or address under which clients and other nodes reach the node, Ports those of its doors.
	Host  string
	Ports Ports
}

// Ports of a node; 0 is a door that it has not.
type Ports struct{ TCP, HTTP, Peer uint16 }

// Topic is one incarnation of a named stream.
type Topic struct {
	Name string
	// ID is unique for all time; 0 is never used.
	ID uint64
	// Partitions is the number of partitions, numbered from 0.
	Partitions uint16
	// Local topics have a partition on each node, without copies on others: they take messages as long as the node lives.
	Local bool
	// Placement tells who holds each partition. It is empty for topics of a lone node.
	Placement []Partition
}

// Partition tells who holds one partition of a topic.
type Partition struct {
	// Preferred leads whenever it can.
	Preferred NodeID
	Replicas  []Replica
	// LastReplica is the highest replica id that was ever given out for the partition.
	LastReplica uint64
}

// Replica is one copy of a partition. Its id is never given to another copy of the partition, so that one that lost its disk
// is never mistaken for what it was.
type Replica struct {
	ID   uint64
	Node NodeID
}

// On returns the replica that a node holds.
func (p *Partition) On(n NodeID) (Replica, bool) {
	i := slices.IndexFunc(p.Replicas, func(r Replica) bool { return r.Node == n })
	if i < 0 {
		return Replica{}, false
	}
	return p.Replicas[i], true
}

// Settings hold for topics that are created without a wish of their own.
type Settings struct {
	// Replicas is how many copies a partition has, at most one for each node. 0 means DefaultReplicas.
	Replicas uint16
	// Partitions is how many partitions a topic has. 0 means one for each node.
	Partitions uint16
}

// Catalog is the applied state.
type Catalog struct {
	topics   map[string]Topic
	nodes    map[NodeID]Node
	settings Settings
	deleted  []uint64 // ids of the topics deleted last; no part of the state
}

// deletedMax is how many deleted topics a Catalog remembers.
const deletedMax = 1024

// New returns an empty catalog.
func New() *Catalog {
	return &Catalog{topics: make(map[string]Topic), nodes: make(map[NodeID]Node)}
}

// Topic returns the topic of that name. What it points to is shared and must not be changed.
func (c *Catalog) Topic(name string) (Topic, bool) {
	t, ok := c.topics[name]
	return t, ok
}

// Topics returns all topics, sorted by name.
func (c *Catalog) Topics() []Topic {
	return slices.SortedFunc(maps.Values(c.topics), func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
}

// Node returns the node of that id.
func (c *Catalog) Node(id NodeID) (Node, bool) {
	n, ok := c.nodes[id]
	return n, ok
}

// Nodes returns all nodes, sorted by id.
func (c *Catalog) Nodes() []Node {
	return slices.SortedFunc(maps.Values(c.nodes), func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
}

// Settings returns the settings.
func (c *Catalog) Settings() Settings { return c.settings }

// ErrMalformed means that a command or a state cannot be decoded: it was written by a newer version, or is damaged.
var ErrMalformed = errors.New("malformed catalog entry")

// Apply executes one committed command. A create of a name that exists and a delete of an incarnation that does not change
// nothing: the proposer finds out by looking at the catalog afterwards. It returns the name of the topic that the command is
// about, if any. The error is ErrMalformed.
func (c *Catalog) Apply(command []byte) (topic string, err error) {
	cmd, err := decodeCommand(command)
	if err != nil {
		return "", fmt.Errorf("apply catalog command: %w", err)
	}
	switch cmd.op {
	case opCreateTopic, opPlaceTopic:
		if _, exists := c.topics[cmd.topic.Name]; !exists {
			c.topics[cmd.topic.Name] = cmd.topic
		}
	case opDeleteTopic:
		if have, ok := c.topics[cmd.topic.Name]; ok && have.ID == cmd.topic.ID {
			delete(c.topics, cmd.topic.Name)
		}
		c.deleted = append(c.deleted[max(0, len(c.deleted)-deletedMax+1):], cmd.topic.ID)
	case opSetNode:
		c.nodes[cmd.node.ID] = cmd.node
	case opSettings:
		c.settings = cmd.settings
	}
	return cmd.topic.Name, nil
}

// Deleted reports whether one of the last commands applied, at most 1,024 deletions ago, deleted the topic of that id. Decode
// forgets.
func (c *Catalog) Deleted(id uint64) bool { return slices.Contains(c.deleted, id) }

// Check reports whether a command can be applied, so that one from elsewhere is not proposed unseen. The error is ErrMalformed.
func Check(command []byte) error {
	_, err := decodeCommand(command)
	return err
}
