package broker

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// A control entry of a partition is
//
//	┌────┬─────────────────────────────────────────────┐
//	│ op │ arguments                                   │
//	└────┴─────────────────────────────────────────────┘
//	 1 progress        repeated: channel id (uvarint), length (uvarint), delta of package queue
//	 2 create channel  name
//	 3 delete channel  channel id (uvarint)
//	 4 pause channel   channel id (uvarint), 1 or 0
//	 5 empty channel   channel id (uvarint)
//	 6 pause topic     1 or 0
//	 7 empty topic
//
// A channel's id is the index of the entry that created it: a re-created channel has another one, so that late progress of the
// old channel never touches the new one.

type controlOp byte

const (
	opProgress      controlOp = 1
	opCreateChannel controlOp = 2
	opDeleteChannel controlOp = 3
	opPauseChannel  controlOp = 4
	opEmptyChannel  controlOp = 5
	opPauseTopic    controlOp = 6
	opEmptyTopic    controlOp = 7
)

// channelID is the index of the entry that created a channel. Ephemeral channels, which no entry creates, count down from the
// top.
type channelID record.Index

var errMalformedControl = errors.New("malformed control entry")

// control is one decoded control entry.
type control struct {
	op       controlOp
	channel  channelID // ops 3 to 5
	name     string    // op 2
	on       bool      // ops 4 and 6
	progress []byte    // op 1, see nextProgress
}

func (c *control) encode() []byte {
	p := []byte{byte(c.op)}
	switch c.op {
	case opCreateChannel:
		p = append(p, c.name...)
	case opDeleteChannel, opEmptyChannel:
		p = binary.AppendUvarint(p, uint64(c.channel))
	case opPauseChannel:
		p = append(binary.AppendUvarint(p, uint64(c.channel)), boolByte(c.on))
	case opPauseTopic:
		p = append(p, boolByte(c.on))
	}
	return p
}

func decodeControl(p []byte) (c control, err error) {
	if len(p) == 0 {
		return c, fmt.Errorf("empty: %w", errMalformedControl)
	}
	c.op, p = controlOp(p[0]), p[1:]
	switch c.op {
	case opProgress:
		c.progress, p = p, nil
	case opCreateChannel:
		c.name, p = string(p), nil
		if !ValidChannelName(c.name) {
			return c, fmt.Errorf("channel name %q: %w", c.name, errMalformedControl)
		}
	case opDeleteChannel, opEmptyChannel, opPauseChannel:
		id, n := binary.Uvarint(p)
		if n <= 0 {
			return c, fmt.Errorf("channel id cut short: %w", errMalformedControl)
		}
		c.channel, p = channelID(id), p[n:]
	case opPauseTopic, opEmptyTopic:
	default:
		return c, fmt.Errorf("operation %d: %w", c.op, errMalformedControl)
	}
	if c.op == opPauseChannel || c.op == opPauseTopic {
		if len(p) != 1 || p[0] > 1 {
			return c, fmt.Errorf("pause is not 0 or 1: %w", errMalformedControl)
		}
		c.on, p = p[0] == 1, nil
	}
	if len(p) != 0 {
		return c, fmt.Errorf("%d bytes behind the end: %w", len(p), errMalformedControl)
	}
	return c, nil
}

// appendProgress appends one channel's delta to a progress entry; the entry starts with opProgress.
func appendProgress(p []byte, id channelID, delta []byte) []byte {
	p = binary.AppendUvarint(p, uint64(id))
	p = binary.AppendUvarint(p, uint64(len(delta)))
	return append(p, delta...)
}

// nextProgress splits the first delta off the arguments of a progress entry.
func nextProgress(p []byte) (id channelID, delta, rest []byte, err error) {
	v, n := binary.Uvarint(p)
	if n <= 0 {
		return 0, nil, nil, fmt.Errorf("channel id cut short: %w", errMalformedControl)
	}
	p = p[n:]
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return 0, nil, nil, fmt.Errorf("delta cut short: %w", errMalformedControl)
	}
	p = p[n:]
	return channelID(v), p[:size], p[size:], nil
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
