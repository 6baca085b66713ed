package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// Batch is one encoded Kafka RecordBatch v2: a header of 61 bytes and the records. docs/format/batch.md draws it. The
// methods need a Batch that ParseBatch or a Builder returned; on other bytes they may panic.
type Batch []byte

// HeaderBytes is the size of a batch's header; the records follow.
const HeaderBytes = 61

// StampBytes is how much of a batch's start its own CRC does not cover: base offset, length, leader epoch, magic and the
// CRC itself.
const StampBytes = 21

// Where the header's fields lie.
const (
	atBaseOffset      = 0
	atLength          = 8 // bytes after this field
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57

	lengthEnd = atLength + 4
	magic     = 2

	// minRecordBytes is the smallest record: length, attributes, two deltas, null key, null value, no headers.
	minRecordBytes = 7
)

// Errors of bytes that are no good batch, wrapped with what is wrong.
var (
	// ErrMalformed means that the bytes are not a RecordBatch v2.
	ErrMalformed = errors.New("malformed batch")
	// ErrChecksum means that a batch differs from what was encoded.
	ErrChecksum = errors.New("batch checksum mismatch")
	// ErrCompressed means that the records are compressed, which this version cannot read.
	ErrCompressed = errors.New("compressed batch not supported")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Attributes are the properties of a batch, as Kafka numbers them.
type Attributes uint16

// Codec returns Kafka's number of the compression: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func (a Attributes) Codec() int { return int(a & 7) }

// LogAppendTime tells that the batch's maximal timestamp stands for those of all its records.
func (a Attributes) LogAppendTime() bool { return a&(1<<3) != 0 }

// Transactional tells that the batch is part of a transaction.
func (a Attributes) Transactional() bool { return a&(1<<4) != 0 }

// Control tells that the batch holds a transaction marker and no messages.
func (a Attributes) Control() bool { return a&(1<<5) != 0 }

// ParseBatch checks that p is one whole batch by its header: magic, length, and a count of records that p can hold and
// that fits the offsets. It checks neither the CRC (see Verify) nor the records. The Batch is p, not a copy.
func ParseBatch(p []byte) (Batch, error) {
	if len(p) < HeaderBytes {
		return nil, fmt.Errorf("%w: %d bytes are less than a header", ErrMalformed, len(p))
	}
	b := Batch(p)
	if b[atMagic] != magic {
		return nil, fmt.Errorf("%w: magic %d, want %d", ErrMalformed, b[atMagic], magic)
	}
	if length := int64(int32(b.uint32(atLength))); length != int64(len(p)-lengthEnd) {
		return nil, fmt.Errorf("%w: length field says %d, there are %d bytes", ErrMalformed, length, len(p)-lengthEnd)
	}
	count, lastDelta := int64(int32(b.uint32(atCount))), int64(int32(b.uint32(atLastOffsetDelta)))
	if count < 1 || count-1 > lastDelta {
		return nil, fmt.Errorf("%w: %d records up to offset delta %d", ErrMalformed, count, lastDelta)
	}
	if space := int64(len(p) - HeaderBytes); b.Attributes().Codec() == 0 && count > space/minRecordBytes {
		return nil, fmt.Errorf("%w: %d records in %d bytes", ErrMalformed, count, space)
	}
	if base := int64(b.uint64(atBaseOffset)); base < 0 || base > math.MaxInt64-lastDelta-1 {
		return nil, fmt.Errorf("%w: base offset %d", ErrMalformed, base)
	}
	return b, nil
}

func (b Batch) uint16(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
func (b Batch) uint32(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
func (b Batch) uint64(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }

// Verify checks the CRC-32C, which covers everything from the attributes to the end. It reports ErrChecksum.
func (b Batch) Verify() error {
	if got, want := b.checksum(), b.CRC(); got != want {
		return fmt.Errorf("%w: computed %08x, stored %08x", ErrChecksum, got, want)
	}
	return nil
}

func (b Batch) checksum() uint32 { return crc32.Checksum(b[atAttributes:], castagnoli) }

// CRC returns the checksum that the header holds.
func (b Batch) CRC() uint32 { return b.uint32(atCRC) }

// Stamp sets the base offset and the leader epoch in place. Neither is covered by the CRC, which stays valid.
func (b Batch) Stamp(base Offset, epoch int32) {
	binary.BigEndian.PutUint64(b[atBaseOffset:], uint64(base))
	binary.BigEndian.PutUint32(b[atLeaderEpoch:], uint32(epoch))
}

// BaseOffset returns the offset of the first record.
func (b Batch) BaseOffset() Offset { return Offset(b.uint64(atBaseOffset)) }

// LastOffset returns the offset of the last record.
func (b Batch) LastOffset() Offset {
	return b.BaseOffset() + Offset(int32(b.uint32(atLastOffsetDelta)))
}

// LeaderEpoch returns the stamped leader epoch; -1 before Stamp.
func (b Batch) LeaderEpoch() int32 { return int32(b.uint32(atLeaderEpoch)) }

// Count returns the number of records by the header. It is less than LastOffset - BaseOffset + 1 if there are gaps.
func (b Batch) Count() int { return int(b.uint32(atCount)) }

// Attributes returns the properties of the batch.
func (b Batch) Attributes() Attributes { return Attributes(b.uint16(atAttributes)) }

// BaseTimestamp returns the time, in Unix ms, to which the records' times are relative.
func (b Batch) BaseTimestamp() int64 { return int64(b.uint64(atBaseTimestamp)) }

// MaxTimestamp returns the latest time of the records, in Unix ms.
func (b Batch) MaxTimestamp() int64 { return int64(b.uint64(atMaxTimestamp)) }

// ProducerID returns the idempotent producer's id; -1 for none.
func (b Batch) ProducerID() int64 { return int64(b.uint64(atProducerID)) }

// ProducerEpoch returns the idempotent producer's epoch; -1 for none.
func (b Batch) ProducerEpoch() int16 { return int16(b.uint16(atProducerEpoch)) }

// BaseSequence returns the producer's sequence number of the first record; -1 for none.
func (b Batch) BaseSequence() int32 { return int32(b.uint32(atBaseSequence)) }
