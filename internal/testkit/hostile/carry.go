package hostile

import (
	"encoding/binary"
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// carriedLocked finds a message in the carry entries, newest first.
func (d *disk) carriedLocked(offset record.Offset) (record.Batch, int64, bool) {
	for _, s := range slices.Backward(d.segments) {
		for _, e := range slices.Backward(s.entries) {
			if e.Kind != record.KindCarry {
				continue
			}
			if b, at, ok := carried(e.Payload, offset); ok {
				return b, at, true
			}
		}
	}
	return nil, 0, false
}

// carried finds a message in the payload of a carry entry. That is a sequence of parts: the append time of the messages
// in Unix nanoseconds, 8 bytes big-endian, and an uncompressed batch of them that keeps their offsets, with gaps.
func carried(payload []byte, offset record.Offset) (record.Batch, int64, bool) {
	for len(payload) >= 8+batchHeaderBytes {
		at := int64(binary.BigEndian.Uint64(payload))
		payload = payload[8:]
		size := 12 + int(binary.BigEndian.Uint32(payload[8:]))
		if size < batchHeaderBytes || size > len(payload) {
			break
		}
		b := record.Batch(payload[:size])
		if holds(b, offset) {
			return b, at, true
		}
		payload = payload[size:]
	}
	return nil, 0, false
}

// holds tells whether a batch with gaps has a record of that offset.
func holds(b record.Batch, offset record.Offset) bool {
	delta := int64(offset) - int64(binary.BigEndian.Uint64(b))
	if delta < 0 {
		return false
	}
	records := b[batchHeaderBytes:]
	for range b.Count() {
		length, n := binary.Varint(records)
		if n <= 0 || length < 1 || length > int64(len(records)-n) {
			return false
		}
		fields := records[n+1 : n+int(length)] // after the attributes
		_, skip := binary.Varint(fields)       // timestamp delta
		if skip <= 0 {
			return false
		}
		d, k := binary.Varint(fields[skip:])
		if k <= 0 {
			return false
		}
		if d == delta {
			return true
		}
		records = records[n+int(length):]
	}
	return false
}
