package record

import (
	"encoding/binary"
	"fmt"
)

// Record is one decoded message. Key, Value and Headers share the bytes of the batch they come from.
type Record struct {
	Offset    Offset
	Timestamp int64  // Unix ms
	Key       []byte // nil is Kafka's null, which differs from empty
	Value     []byte // likewise
	Headers   Headers

	body []byte // encoded: from the key's length to the end
}

// Due returns the time, in Unix ms, before which the message must not be delivered, if it has one: the header weir.due
// with a value of 8 bytes.
func (r *Record) Due() (ms int64, ok bool) {
	if r.Headers.count == 0 {
		return 0, false
	}
	v, ok := r.Headers.Find(DueHeader)
	if !ok || len(v) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(v)), true
}

// Records walks through the records of a batch. Nothing is allocated; copies of it walk independently.
type Records struct {
	rest      []byte
	left      int
	base      Offset
	baseTime  int64
	maxTime   int64
	sameTime  bool // all records have maxTime
	lastDelta int64
	next      int64 // smallest offset delta that the next record may have
	rec       Record
	err       error
}

// Records returns an iterator before the first record. It does not check the CRC. A compressed batch has no records and
// the error ErrCompressed.
func (b Batch) Records() Records {
	r := Records{
		rest:      b[HeaderBytes:],
		left:      b.Count(),
		base:      b.BaseOffset(),
		baseTime:  b.BaseTimestamp(),
		maxTime:   b.MaxTimestamp(),
		sameTime:  b.Attributes().LogAppendTime(),
		lastDelta: int64(b.LastOffset() - b.BaseOffset()),
	}
	if b.Attributes().Codec() != 0 {
		r.left = 0
		r.err = fmt.Errorf("%w: codec %d", ErrCompressed, b.Attributes().Codec())
	}
	return r
}

// Next goes to the next record. It returns false at the end and at the first malformed record; Err tells which.
func (it *Records) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	size, n := varint(it.rest)
	if n == 0 || size < 0 || size > int64(len(it.rest)-n) {
		return it.fail("length of a record")
	}
	end := n + int(size)
	p := it.rest[n:end:end]
	it.rest = it.rest[end:]
	if !it.decode(p) {
		return false
	}
	if it.left == 0 && len(it.rest) > 0 {
		return it.fail("bytes after the last record")
	}
	return true
}

// decode reads one record from p, which holds it without its length.
func (it *Records) decode(p []byte) bool {
	if len(p) == 0 {
		return it.fail("empty record")
	}
	p = p[1:] // attributes: unused
	timeDelta, n := varint(p)
	if n == 0 {
		return it.fail("time delta")
	}
	p = p[n:]
	delta, n := varint(p)
	if n == 0 || delta < it.next || delta > it.lastDelta {
		return it.fail("offset delta")
	}
	p = p[n:]
	it.next = delta + 1
	it.rec.Offset = it.base + Offset(delta)
	it.rec.Timestamp = it.baseTime + timeDelta
	if it.sameTime {
		it.rec.Timestamp = it.maxTime
	}
	it.rec.body = p
	var ok bool
	if it.rec.Key, p, ok = field(p); !ok {
		return it.fail("key")
	}
	if it.rec.Value, p, ok = field(p); !ok {
		return it.fail("value")
	}
	if len(p) == 1 && p[0] == 0 {
		it.rec.Headers = Headers{}
		return true
	}
	if it.rec.Headers, ok = parseHeaders(p); !ok {
		return it.fail("headers")
	}
	return true
}

func (it *Records) fail(what string) bool {
	it.err = fmt.Errorf("%w: %s, %d records before the end", ErrMalformed, what, it.left)
	it.left = 0
	return false
}

// Record returns the present record. It is overwritten by Next; the bytes it points to live as long as the batch.
func (it *Records) Record() *Record { return &it.rec }

// Err tells why Next returned false: nil at the end, ErrMalformed or ErrCompressed.
func (it *Records) Err() error { return it.err }
