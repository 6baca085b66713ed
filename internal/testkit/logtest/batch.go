package logtest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/weirmq/weir/internal/record"
)

// headerBytes is the size of a RecordBatch v2 without records.
const headerBytes = 61

// Batch encodes bodies as an uncompressed RecordBatch v2 of records without key and headers, as a publisher hands it to a
// log: base offset and leader epoch are 0. It is written apart from package record, so that the two check each other.
func Batch(bodies ...[]byte) record.Batch {
	deltas := make([]int, len(bodies))
	for i := range deltas {
		deltas[i] = i
	}
	return sparse(deltas, bodies)
}

// sparse encodes a batch in which body i has offset delta deltas[i].
func sparse(deltas []int, bodies [][]byte) record.Batch {
	b := make([]byte, headerBytes)
	for i, body := range bodies {
		fields := []byte{0}                                    // attributes
		fields = binary.AppendVarint(fields, 0)                // timestamp delta
		fields = binary.AppendVarint(fields, int64(deltas[i])) // offset delta
		fields = binary.AppendVarint(fields, -1)               // no key
		fields = binary.AppendVarint(fields, int64(len(body))) // value
		fields = append(append(fields, body...), 0)            // no headers
		b = append(binary.AppendVarint(b, int64(len(fields))), fields...)
	}
	big := binary.BigEndian
	big.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2 // magic
	big.PutUint32(b[23:], uint32(deltas[len(deltas)-1]))
	big.PutUint64(b[43:], ^uint64(0)) // no producer
	big.PutUint16(b[51:], ^uint16(0))
	big.PutUint32(b[53:], ^uint32(0))
	big.PutUint32(b[57:], uint32(len(bodies)))
	big.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// Bodies decodes an uncompressed batch into the bodies of its messages by offset, checking length and CRC.
func Bodies(b record.Batch) (map[record.Offset][]byte, error) {
	if len(b) < headerBytes {
		return nil, fmt.Errorf("batch of %d bytes", len(b))
	}
	big := binary.BigEndian
	if got := int(big.Uint32(b[8:])) + 12; got != len(b) {
		return nil, fmt.Errorf("batch of %d bytes says it has %d", len(b), got)
	}
	if got, want := crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)), big.Uint32(b[17:]); got != want {
		return nil, fmt.Errorf("batch checksum is %08x, contents have %08x", want, got)
	}
	base := record.Offset(big.Uint64(b))
	bodies := make(map[record.Offset][]byte, b.Count())
	rest := []byte(b[headerBytes:])
	for range b.Count() {
		length, n := binary.Varint(rest)
		if n <= 0 || length < 1 || length > int64(len(rest)-n) {
			return nil, fmt.Errorf("bad record length")
		}
		fields := rest[n+1 : n+int(length)]
		rest = rest[n+int(length):]
		var v [4]int64 // timestamp delta, offset delta, key length, value length
		for i := range v {
			var k int
			if v[i], k = binary.Varint(fields); k <= 0 {
				return nil, fmt.Errorf("bad record field")
			}
			fields = fields[k:]
			if i == 2 && v[2] > 0 {
				return nil, fmt.Errorf("record has a key")
			}
		}
		if v[3] < 0 || v[3] > int64(len(fields)) {
			return nil, fmt.Errorf("bad value length")
		}
		bodies[base+record.Offset(v[1])] = fields[:v[3]]
	}
	return bodies, nil
}
