package load

import "encoding/binary"

// StampBytes is the length of the stamp, and so of the smallest body.
const StampBytes = 16

// A message's identity is the topic it went to, the stream it belongs to (what one publisher sends to one topic; counted for
// each topic from 0) and its number in that stream, in 14, 15 and 35 bits.
const (
	numberBits = 35
	streamBits = 15
)

// identity packs one; numbers run from 0 on without gaps.
func identity(topic, stream int, number int64) uint64 {
	return uint64(topic)<<(streamBits+numberBits) | uint64(stream)<<numberBits | uint64(number)
}

// identified unpacks what identity packed.
func identified(id uint64) (topic, stream int, number int64) {
	return int(id >> (streamBits + numberBits)), int(id >> numberBits & (1<<streamBits - 1)), int64(id & (1<<numberBits - 1))
}

// putStamp writes the stamp of a message: when it is due, in ns since the run began, and its identity.
func putStamp(body []byte, due int64, id uint64) {
	binary.LittleEndian.PutUint64(body, uint64(due))
	binary.LittleEndian.PutUint64(body[8:], id)
}

// stampOf reads what putStamp wrote.
func stampOf(body []byte) (due int64, id uint64) {
	return int64(binary.LittleEndian.Uint64(body)), binary.LittleEndian.Uint64(body[8:])
}
