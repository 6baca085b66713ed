package broker

import (
	"encoding/hex"

	"github.com/weirmq/weir/internal/record"
)

// MessageID is a message's identity on the wire: 16 lower-case hex digits of
//
//	(16-bit partition, 48-bit offset) XOR topic id
//
// so that it is unique across topics and re-creations of a topic, and the same after a redelivery or a restart.
type MessageID [16]byte

const offsetBits = 48

func makeMessageID(topic uint64, partition uint16, offset record.Offset) (id MessageID) {
	v := (uint64(partition)<<offsetBits | uint64(offset)) ^ topic
	const digits = "0123456789abcdef"
	for i := range id {
		id[i] = digits[v>>60]
		v <<= 4
	}
	return id
}

// split undoes makeMessageID; ok is false for ids that this topic cannot have given out.
func (id *MessageID) split(topic uint64) (partition uint16, offset record.Offset, ok bool) {
	var raw [8]byte
	if _, err := hex.Decode(raw[:], id[:]); err != nil {
		return 0, 0, false
	}
	var v uint64
	for _, b := range raw {
		v = v<<8 | uint64(b)
	}
	v ^= topic
	return uint16(v >> offsetBits), record.Offset(v & (1<<offsetBits - 1)), true
}
