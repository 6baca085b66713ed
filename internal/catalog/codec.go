package catalog

import (
	"encoding/binary"
	"fmt"
)

// A command is
//
//	┌────┬─────────┬──────────────┬──────────────┬──────────┐
//	│ op │ id (8)  │ partitions(2)│ name length  │ name     │
//	└────┴─────────┴──────────────┴──uvarint─────┴──────────┘
//
// big-endian, and a state is a format byte, a uvarint count and so many topics, each as in a create command without the op.

type op byte

const (
	opCreateTopic op = 1
	opDeleteTopic op = 2

	stateFormat  = 1
	maxNameBytes = 256
)

// EncodeCreate returns the command that creates t.
func EncodeCreate(t Topic) []byte { return appendTopic([]byte{byte(opCreateTopic)}, t) }

// EncodeDelete returns the command that deletes this incarnation of t.
func EncodeDelete(t Topic) []byte { return appendTopic([]byte{byte(opDeleteTopic)}, t) }

// AppendState appends the encoded state to dst and returns it.
func (c *Catalog) AppendState(dst []byte) []byte {
	dst = append(dst, stateFormat)
	dst = binary.AppendUvarint(dst, uint64(len(c.topics)))
	for _, t := range c.Topics() {
		dst = appendTopic(dst, t)
	}
	return dst
}

// Decode returns the catalog of an encoded state, or ErrMalformed.
func Decode(state []byte) (*Catalog, error) {
	c := New()
	if len(state) == 0 || state[0] != stateFormat {
		return nil, fmt.Errorf("catalog state: format not %d: %w", stateFormat, ErrMalformed)
	}
	p := state[1:]
	n, used := binary.Uvarint(p)
	if used <= 0 {
		return nil, fmt.Errorf("catalog state: topic count: %w", ErrMalformed)
	}
	p = p[used:]
	for range n {
		t, rest, err := decodeTopic(p)
		if err != nil {
			return nil, fmt.Errorf("catalog state: %w", err)
		}
		c.topics[t.Name] = t
		p = rest
	}
	if len(p) != 0 {
		return nil, fmt.Errorf("catalog state: %d bytes behind the end: %w", len(p), ErrMalformed)
	}
	return c, nil
}

func appendTopic(dst []byte, t Topic) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.ID)
	dst = binary.BigEndian.AppendUint16(dst, t.Partitions)
	dst = binary.AppendUvarint(dst, uint64(len(t.Name)))
	return append(dst, t.Name...)
}

func decodeCommand(p []byte) (op, Topic, error) {
	if len(p) == 0 {
		return 0, Topic{}, fmt.Errorf("empty: %w", ErrMalformed)
	}
	o := op(p[0])
	if o != opCreateTopic && o != opDeleteTopic {
		return 0, Topic{}, fmt.Errorf("operation %d: %w", o, ErrMalformed)
	}
	t, rest, err := decodeTopic(p[1:])
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes behind the end: %w", len(rest), ErrMalformed)
	}
	return o, t, err
}

func decodeTopic(p []byte) (t Topic, rest []byte, err error) {
	if len(p) < 10 {
		return Topic{}, nil, fmt.Errorf("topic cut short: %w", ErrMalformed)
	}
	t.ID = binary.BigEndian.Uint64(p)
	t.Partitions = binary.BigEndian.Uint16(p[8:])
	n, used := binary.Uvarint(p[10:])
	if used <= 0 || n > maxNameBytes || uint64(len(p)-10-used) < n {
		return Topic{}, nil, fmt.Errorf("topic name cut short: %w", ErrMalformed)
	}
	p = p[10+used:]
	t.Name = string(p[:n])
	if t.ID == 0 || t.Partitions == 0 || t.Name == "" {
		return Topic{}, nil, fmt.Errorf("topic without id, partition or name: %w", ErrMalformed)
	}
	return t, p[n:], nil
}
