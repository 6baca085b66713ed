package record

import (
	"encoding/binary"
	"fmt"
)

// Relay names a node that passes a batch on, in one life of its process, and counts its batches for one partition. It lies in
// the producer fields of the batch (docs/format/batch.md); no client's producer id has relayBit.
type Relay struct {
	Node     uint64 // below 1<<30, not 0
	Life     uint32
	Sequence uint64 // below 1<<48
}

const (
	relayBit     = 1 << 62
	relayNodeMax = 1<<30 - 1
	// RelaySequenceMax is the highest sequence number of a Relay.
	RelaySequenceMax = 1<<48 - 1
)

// Relay returns who passed the batch on; ok is false if nobody did.
func (b Batch) Relay() (r Relay, ok bool) {
	id := b.uint64(atProducerID)
	if id>>62 != 1 {
		return Relay{}, false
	}
	r.Node = id >> 32 & relayNodeMax
	r.Life = uint32(id)
	r.Sequence = uint64(b.uint16(atProducerEpoch))<<32 | uint64(b.uint32(atBaseSequence))
	return r, true
}

// SetRelay marks the batch as passed on, in place, and computes its CRC anew. It panics if r is out of range.
func (b Batch) SetRelay(r Relay) {
	if r.Node == 0 || r.Node > relayNodeMax || r.Sequence > RelaySequenceMax {
		panic(fmt.Sprintf("record: relay %+v is out of range", r))
	}
	binary.BigEndian.PutUint64(b[atProducerID:], relayBit|r.Node<<32|uint64(r.Life))
	binary.BigEndian.PutUint16(b[atProducerEpoch:], uint16(r.Sequence>>32))
	binary.BigEndian.PutUint32(b[atBaseSequence:], uint32(r.Sequence))
	binary.BigEndian.PutUint32(b[atCRC:], b.checksum())
}
