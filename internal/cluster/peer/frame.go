package peer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	headerBytes = 20
	readBuffer  = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// kind is what a frame is.
type kind uint8

const (
	kindMessage kind = 1 // → for Handler.Received
	kindCall    kind = 2 // → method, id; on bulk the request of the stream
	kindPing    kind = 3 // →
	kindReply   kind = 4 // ← id
	kindFailure kind = 5 // ← id, code; the payload is the error's text
	kindPong    kind = 6 // ←
	kindData    kind = 7 // ← bulk: a part of the stream
	kindEnd     kind = 8 // ← bulk: the stream is complete
	lastKind         = kindEnd
)

// header is what precedes a payload.
type header struct {
	kind   kind
	method uint8
	code   uint16
	id     uint64
}

// put encodes the header of a payload of that length, whose CRC-32C is sum, into dst.
func (h header) put(dst []byte, length int, sum uint32) {
	binary.BigEndian.PutUint32(dst[4:], uint32(length))
	dst[8], dst[9] = byte(h.kind), h.method
	binary.BigEndian.PutUint16(dst[10:], h.code)
	binary.BigEndian.PutUint64(dst[12:], h.id)
	binary.BigEndian.PutUint32(dst, crc32.Update(sum, castagnoli, dst[4:headerBytes]))
}

// errMalformed means that what came is no frame: the connection is of no use any more.
var errMalformed = errors.New("malformed frame")

// frameReader takes frames off a connection.
type frameReader struct {
	buf        *bufio.Reader
	header     [headerBytes]byte // of the frame that is being read
	limitBytes int               // of a payload
}

func newFrameReader(r io.Reader, limitBytes int) *frameReader {
	return &frameReader{buf: bufio.NewReaderSize(r, readBuffer), limitBytes: limitBytes}
}

// next returns the next frame. The payload is a slice of its own, nil if it is empty. Errors: those of the connection, io.EOF
// between two frames, errMalformed.
func (r *frameReader) next() (header, []byte, error) {
	var none header
	b, err := r.buf.Peek(headerBytes)
	if err != nil {
		if err == io.EOF && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return none, nil, err
	}
	length := binary.BigEndian.Uint32(b[4:])
	if uint64(length) > uint64(r.limitBytes) {
		return none, nil, fmt.Errorf("payload of %d bytes, at most %d are taken: %w", length, r.limitBytes, errMalformed)
	}
	h := header{kind: kind(b[8]), method: b[9], code: binary.BigEndian.Uint16(b[10:]), id: binary.BigEndian.Uint64(b[12:])}
	if h.kind == 0 || h.kind > lastKind {
		return none, nil, fmt.Errorf("kind %d: %w", h.kind, errMalformed)
	}
	copy(r.header[:], b)
	_, _ = r.buf.Discard(headerBytes) // peeked above
	var payload []byte
	if length > 0 {
		payload = make([]byte, length)
		if _, err := io.ReadFull(r.buf, payload); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return none, nil, err
		}
	}
	sum := crc32.Update(crc32.Checksum(payload, castagnoli), castagnoli, r.header[4:])
	if sum != binary.BigEndian.Uint32(r.header[:]) {
		return none, nil, fmt.Errorf("checksum does not match: %w", errMalformed)
	}
	return h, payload, nil
}
