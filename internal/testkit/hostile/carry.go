package hostile

import (
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

// carried finds a message in the payload of a carry entry. It panics on a malformed one: the broker made it.
func carried(payload []byte, offset record.Offset) (record.Batch, int64, bool) {
	for len(payload) > 0 {
		at, b, rest, err := record.NextCarried(payload)
		if err != nil {
			panic(err)
		}
		records := b.Records()
		for records.Next() {
			if records.Record().Offset == offset {
				return b, at, true
			}
		}
		if records.Err() != nil {
			panic(records.Err())
		}
		payload = rest
	}
	return nil, 0, false
}
