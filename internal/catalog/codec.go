package catalog

import (
	"encoding/binary"
	"fmt"
)

// docs/format/control.md describes commands and states. A command is an operation and its arguments:
//
//	1 create topic  id (8), partitions (2), name      numbers in the first two big-endian, all others uvarints;
//	2 delete topic  the same                          a name is its length and its bytes
//	3 set node      id, name, host, three ports
//	4 place topic   as create, flags (1), then for each partition: preferred node, last replica id, count, and for
//	                each replica role (1), id, node
//	5 barrier       nothing
//	6 settings      replicas, partitions
//
// A state is a format byte; format 1 then has a count and so many topics as in command 1, format 2 a count and topics as in
// command 4, a count and nodes as in command 3, and settings as in command 6.

type op byte

const (
	opCreateTopic op = 1
	opDeleteTopic op = 2
	opSetNode     op = 3
	opPlaceTopic  op = 4
	opBarrier     op = 5
	opSettings    op = 6

	stateFormatTopics = 1
	stateFormat       = 2
	maxNameBytes      = 256

	flagLocal  = 1
	flagPlaced = 2
	roleVoter  = 0 // others are for copies that are being made
)

// command is a decoded command.
type command struct {
	op       op
	topic    Topic
	node     Node
	settings Settings
}

// EncodeCreate returns the command that creates t.
func EncodeCreate(t Topic) []byte {
	if len(t.Placement) == 0 && !t.Local {
		return appendTopic([]byte{byte(opCreateTopic)}, t)
	}
	return appendPlaced([]byte{byte(opPlaceTopic)}, t)
}

// EncodeDelete returns the command that deletes this incarnation of t.
func EncodeDelete(t Topic) []byte { return appendTopic([]byte{byte(opDeleteTopic)}, t) }

// EncodeNode returns the command that adds a node, or replaces what is known of it.
func EncodeNode(n Node) []byte { return appendNode([]byte{byte(opSetNode)}, n) }

// EncodeSettings returns the command that replaces the settings.
func EncodeSettings(s Settings) []byte { return appendSettings([]byte{byte(opSettings)}, s) }

// EncodeBarrier returns a command that changes nothing: whoever has applied it has applied all that was committed before.
func EncodeBarrier() []byte { return []byte{byte(opBarrier)} }

// AppendState appends the encoded state to dst and returns it.
func (c *Catalog) AppendState(dst []byte) []byte {
	dst = append(dst, stateFormat)
	dst = binary.AppendUvarint(dst, uint64(len(c.topics)))
	for _, t := range c.Topics() {
		dst = appendPlaced(dst, t)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.nodes)))
	for _, n := range c.Nodes() {
		dst = appendNode(dst, n)
	}
	return appendSettings(dst, c.settings)
}

// Decode returns the catalog of an encoded state, or ErrMalformed.
func Decode(state []byte) (*Catalog, error) {
	c := New()
	d := decoder{rest: state}
	format := d.byte()
	if format != stateFormat && format != stateFormatTopics {
		return nil, fmt.Errorf("catalog state: format %d, this version reads up to %d: %w", format, stateFormat, ErrMalformed)
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		t := d.topic()
		if format == stateFormat {
			d.placed(&t)
		}
		c.topics[t.Name] = t
	}
	if format == stateFormat {
		for n := d.count(); n > 0 && d.err == nil; n-- {
			node := d.node()
			c.nodes[node.ID] = node
		}
		c.settings = d.settings()
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("catalog state: %w", err)
	}
	return c, nil
}

func appendTopic(dst []byte, t Topic) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.ID)
	dst = binary.BigEndian.AppendUint16(dst, t.Partitions)
	return appendString(dst, t.Name)
}

func appendPlaced(dst []byte, t Topic) []byte {
	dst = appendTopic(dst, t)
	flags := byte(0)
	if t.Local {
		flags |= flagLocal
	}
	if len(t.Placement) > 0 {
		flags |= flagPlaced
	}
	dst = append(dst, flags)
	for _, p := range t.Placement {
		dst = binary.AppendUvarint(dst, uint64(p.Preferred))
		dst = binary.AppendUvarint(dst, p.LastReplica)
		dst = binary.AppendUvarint(dst, uint64(len(p.Replicas)))
		for _, r := range p.Replicas {
			dst = append(dst, roleVoter)
			dst = binary.AppendUvarint(dst, r.ID)
			dst = binary.AppendUvarint(dst, uint64(r.Node))
		}
	}
	return dst
}

func appendNode(dst []byte, n Node) []byte {
	dst = binary.AppendUvarint(dst, uint64(n.ID))
	dst = appendString(dst, n.Name)
	dst = appendString(dst, n.Host)
	for _, port := range []uint16{n.Ports.TCP, n.Ports.HTTP, n.Ports.Peer} {
		dst = binary.AppendUvarint(dst, uint64(port))
	}
	return dst
}

func appendSettings(dst []byte, s Settings) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.Replicas))
	return binary.AppendUvarint(dst, uint64(s.Partitions))
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func decodeCommand(p []byte) (command, error) {
	d := decoder{rest: p}
	c := command{op: op(d.byte())}
	switch {
	case d.err != nil:
	case c.op == opCreateTopic || c.op == opDeleteTopic:
		c.topic = d.topic()
	case c.op == opPlaceTopic:
		c.topic = d.topic()
		d.placed(&c.topic)
	case c.op == opSetNode:
		c.node = d.node()
	case c.op == opSettings:
		c.settings = d.settings()
	case c.op == opBarrier:
	default:
		return c, fmt.Errorf("operation %d: %w", c.op, ErrMalformed)
	}
	return c, d.end()
}
