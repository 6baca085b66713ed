package broker

import (
	"encoding/binary"

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

// split undoes makeMessageID; ok is false for ids that this topic cannot have given out. Every FIN needs it: eight digits at a time
// take 11 ns, hex.Decode 25.
func (id *MessageID) split(topic uint64) (partition uint16, offset record.Offset, ok bool) {
	high, low := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	h, l := hexValue(high), hexValue(low)
	if hexDigits(h) != high || hexDigits(l) != low {
		return 0, 0, false
	}
	v := (uint64(h)<<32 | uint64(l)) ^ topic
	return uint16(v >> offsetBits), record.Offset(v & (1<<offsetBits - 1)), true
}

// everyByte has a 1 in each byte.
const everyByte = 0x0101010101010101

// hexDigits returns the eight lower-case digits of v, the first in the highest byte.
func hexDigits(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f // a digit's value in each byte
	letters := (x + 6*everyByte) >> 4 & everyByte
	return x + '0'*everyByte + letters*('a'-'0'-10)
}

// hexValue undoes hexDigits; of other bytes it makes anything.
func hexValue(digits uint64) uint32 {
	letters := digits >> 6 & everyByte
	x := digits&(0x0f*everyByte) + letters*9
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}
