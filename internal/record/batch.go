package record

import "encoding/binary"

// Batch is one encoded Kafka RecordBatch v2.
type Batch []byte

// Count returns the number of records by the header.
func (b Batch) Count() int { return int(binary.BigEndian.Uint32(b[57:])) }
