// Package catalog holds what a node knows of its topics: names, incarnations, settings. It is a state machine over a log of
// its own: it changes only by applying committed commands, in log order, alike on every node. It is pure: no goroutine, lock,
// clock or I/O; the caller serialises access.
//
// A topic's ID is drawn at random by the node that creates it, before the command is proposed, because the topic's logs are
// made first: a topic in the catalog always has its logs, so that a missing one is damage and not a topic never finished.
// A re-created topic gets another ID; the ID is also the salt of its message ids.
package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// NodeID names a node of a cluster for all time: a small number, given out once and never again. 0 is none.
type NodeID uint64

// Topic is one incarnation of a named stream.
type Topic struct {
	Name string
	// ID is unique for all time; 0 is never used.
	ID uint64
	// Partitions is the number of partitions, numbered from 0.
	Partitions uint16
}

// Catalog is the applied state.
type Catalog struct {
	topics map[string]Topic
}

// New returns an empty catalog.
func New() *Catalog { return &Catalog{topics: make(map[string]Topic)} }

// Topic returns the topic of that name.
func (c *Catalog) Topic(name string) (Topic, bool) {
	t, ok := c.topics[name]
	return t, ok
}

// Topics returns all topics, sorted by name.
func (c *Catalog) Topics() []Topic {
	all := make([]Topic, 0, len(c.topics))
	for _, t := range c.topics {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// ErrMalformed means that a command or a state cannot be decoded: it was written by a newer version, or is damaged.
var ErrMalformed = errors.New("malformed catalog entry")

// Apply executes one committed command. A create of a name that exists and a delete of an incarnation that does not change
// nothing: the proposer finds out by looking at the catalog afterwards. The error is ErrMalformed.
func (c *Catalog) Apply(command []byte) error {
	op, t, err := decodeCommand(command)
	if err != nil {
		return fmt.Errorf("apply catalog command: %w", err)
	}
	switch op {
	case opCreateTopic:
		if _, exists := c.topics[t.Name]; !exists {
			c.topics[t.Name] = t
		}
	case opDeleteTopic:
		if have, ok := c.topics[t.Name]; ok && have.ID == t.ID {
			delete(c.topics, t.Name)
		}
	}
	return nil
}
