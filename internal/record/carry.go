package record

import (
	"encoding/binary"
	"fmt"
)

// The payload of a carry entry is a sequence of parts:
//
//	┌───────────────────────┬───────────────────────────────────┐
//	│ append time, ns (8)   │ batch with gaps, own CRC          │ …
//	└───────────────────────┴───────────────────────────────────┘
//
// Each part holds messages of one batch that were unfinished when its segment was deleted, with their offsets and the time at
// which they were appended.

// AppendCarried appends one part to a carry payload and returns it.
func AppendCarried(dst []byte, time int64, b Batch) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(time))
	return append(dst, b...)
}

// NextCarried splits the first part off a carry payload. The batch's CRC is not checked (see Batch.Verify); the Batch is part of
// the payload, not a copy. Errors wrap ErrMalformed.
func NextCarried(payload []byte) (time int64, b Batch, rest []byte, err error) {
	const timeBytes = 8
	if len(payload) < timeBytes+HeaderBytes {
		return 0, nil, nil, fmt.Errorf("carried part: %w: %d bytes are less than a time and a header", ErrMalformed, len(payload))
	}
	time = int64(binary.BigEndian.Uint64(payload))
	payload = payload[timeBytes:]
	size := int64(int32(binary.BigEndian.Uint32(payload[atLength:]))) + lengthEnd
	if size < HeaderBytes || size > int64(len(payload)) {
		return 0, nil, nil, fmt.Errorf("carried part: %w: batch of %d bytes in %d", ErrMalformed, size, len(payload))
	}
	b, err = ParseBatch(payload[:size])
	if err != nil {
		return 0, nil, nil, fmt.Errorf("carried part: %w", err)
	}
	return time, b, payload[size:], nil
}
