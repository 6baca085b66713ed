package record

import (
	"encoding/binary"
	"slices"
)

const (
	minBufferBytes = 256
	maxBufferBytes = 64 << 10
	dueHeaderBytes = 1 + len(DueHeader) + 1 + 8
)

// Builder encodes records into a batch. The zero value is ready; it belongs to one goroutine at a time. Only its buffer
// is ever allocated, never anything for a record.
//
// Ownership: the Builder copies what it is given. The Batch that Finish returns belongs to the caller, and the Builder
// never touches it again.
type Builder struct {
	buf   []byte // header and records so far; empty before the first
	count int
	flags Flags
	hint  int // size in bytes of the next buffer, when there is none

	base      Offset // of the first record, 0 unless Subset put it there
	lastDelta int64
	// timed tells that a record with a time of its own came first, so that baseTime is fixed.
	timed             bool
	baseTime, maxTime int64
}

// Reset drops what was appended and continues in buf, of which only the capacity matters. The Builder owns buf from now
// on, and Finish may hand it out as a Batch. With nil the Builder keeps the buffer it has.
func (b *Builder) Reset(buf []byte) {
	if buf == nil {
		buf = b.buf
	}
	*b = Builder{buf: buf[:0], hint: b.hint}
}

// Len returns the size in bytes that the batch has so far, 0 if it has no records.
func (b *Builder) Len() int {
	if b.count == 0 {
		return 0
	}
	return len(b.buf)
}

// Count returns the number of records so far.
func (b *Builder) Count() int { return b.count }

// Flags returns FlagDue if a record so far has a due time. Ask before Finish, which starts anew.
func (b *Builder) Flags() Flags { return b.flags }

// Append adds a message without a key. Its time is that of the batch. A due time in Unix ms other than 0 becomes the
// header weir.due.
func (b *Builder) Append(body []byte, due int64) {
	delta := b.nextDelta()
	size := 4 + varintLen(delta) + varintLen(int64(len(body))) + len(body) // attributes, time delta, null key, header count
	if due != 0 {
		size += dueHeaderBytes
		b.flags |= FlagDue
	}
	b.begin(size)
	p := appendVarint(b.buf, int64(size))
	p = append(p, 0, 0)
	p = appendVarint(p, delta)
	p = append(p, 1) // key length -1
	p = appendVarint(p, int64(len(body)))
	p = append(p, body...)
	if due == 0 {
		p = append(p, 0)
	} else {
		p = append(p, 1<<1, byte(len(DueHeader)<<1))
		p = append(p, DueHeader...)
		p = append(p, 8<<1)
		p = binary.BigEndian.AppendUint64(p, uint64(due))
	}
	b.buf = p
	b.lastDelta = delta
	b.count++
}

// AppendRecord adds a record with key, value, headers and time as they are; its offset is ignored. The time of the first
// record so added becomes the batch's base timestamp, if nothing was added by Append before; else the batch's
// timestamp stands.
func (b *Builder) AppendRecord(r *Record) {
	bodyBytes := nullableLen(r.Key) + nullableLen(r.Value) + varintLen(int64(r.Headers.count)) + len(r.Headers.raw)
	p := b.beginRecord(r, b.nextDelta(), bodyBytes)
	p = appendNullable(p, r.Key)
	p = appendNullable(p, r.Value)
	p = appendVarint(p, int64(r.Headers.count))
	b.buf = append(p, r.Headers.raw...)
}

// appendEncoded adds a decoded record without encoding its body again.
func (b *Builder) appendEncoded(r *Record, delta int64) {
	b.buf = append(b.beginRecord(r, delta, len(r.body)), r.body...)
}

// beginRecord counts a record and returns the buffer with its length, attributes and deltas; bodyBytes must follow.
func (b *Builder) beginRecord(r *Record, delta int64, bodyBytes int) []byte {
	if b.count == 0 {
		b.timed, b.baseTime, b.maxTime = true, r.Timestamp, r.Timestamp
	}
	timeDelta := int64(0)
	if b.timed {
		timeDelta = r.Timestamp - b.baseTime
		b.maxTime = max(b.maxTime, r.Timestamp)
	}
	if _, due := r.Due(); due {
		b.flags |= FlagDue
	}
	size := 1 + varintLen(timeDelta) + varintLen(delta) + bodyBytes
	b.begin(size)
	p := appendVarint(b.buf, int64(size))
	p = append(p, 0)
	p = appendVarint(p, timeDelta)
	p = appendVarint(p, delta)
	b.lastDelta = delta
	b.count++
	return p
}

func (b *Builder) nextDelta() int64 {
	if b.count == 0 {
		return 0
	}
	return b.lastDelta + 1
}

// begin makes room for a record of size bytes and its length, and for the header before the first.
func (b *Builder) begin(size int) {
	if b.count > 0 {
		b.buf = slices.Grow(b.buf, size+maxVarintBytes)
		return
	}
	need := HeaderBytes + size + maxVarintBytes
	if cap(b.buf) < need {
		b.buf = make([]byte, 0, max(need, minBufferBytes, b.hint))
	}
	b.buf = b.buf[:HeaderBytes]
}

// Finish completes the batch: header, CRC-32C, base offset 0 (or what Subset demands), leader epoch, producer and sequence
// -1. The timestamp, in Unix ms, is that of all records that have none of their own. The Builder is empty afterwards.
// Without records Finish returns nil.
//
// A batch that fills less than half of the buffer is copied into a slice of its size, and the Builder keeps the buffer;
// so a cached batch wastes at most as much as it holds.
func (b *Builder) Finish(timestampMs int64) Batch {
	if b.count == 0 {
		b.Reset(nil)
		return nil
	}
	if !b.timed {
		b.baseTime, b.maxTime = timestampMs, timestampMs
	}
	out := Batch(b.buf)
	out.putHeader(b)
	if len(out) <= cap(out)/2 && cap(out) <= 2*maxBufferBytes {
		kept := b.buf
		out = slices.Clone(out)
		b.Reset(kept)
		return out[:len(out):len(out)]
	}
	*b = Builder{hint: min(len(out)+len(out)/4, maxBufferBytes+HeaderBytes)}
	return out[:len(out):len(out)]
}

func (b Batch) putHeader(from *Builder) {
	be := binary.BigEndian
	be.PutUint64(b[atBaseOffset:], uint64(from.base))
	be.PutUint32(b[atLength:], uint32(len(b)-lengthEnd))
	be.PutUint32(b[atLeaderEpoch:], ^uint32(0))
	b[atMagic] = magic
	be.PutUint16(b[atAttributes:], 0)
	be.PutUint32(b[atLastOffsetDelta:], uint32(from.lastDelta))
	be.PutUint64(b[atBaseTimestamp:], uint64(from.baseTime))
	be.PutUint64(b[atMaxTimestamp:], uint64(from.maxTime))
	be.PutUint64(b[atProducerID:], ^uint64(0))
	be.PutUint16(b[atProducerEpoch:], ^uint16(0))
	be.PutUint32(b[atBaseSequence:], ^uint32(0))
	be.PutUint32(b[atCount:], uint32(from.count))
	be.PutUint32(b[atCRC:], b.checksum())
}

func nullableLen(p []byte) int {
	if p == nil {
		return 1
	}
	return varintLen(int64(len(p))) + len(p)
}

func appendNullable(dst, p []byte) []byte {
	if p == nil {
		return append(dst, 1) // -1
	}
	return append(appendVarint(dst, int64(len(p))), p...)
}
