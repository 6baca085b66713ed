package nsqdata

import (
	"encoding/binary"
	"fmt"
)

// headerBytes is the size of what stands before a body: timestamp, attempts, id.
const headerBytes = 8 + 2 + 16

// Message is one message of a disk queue.
type Message struct {
	Timestamp int64 // when it was published, Unix ns
	Attempts  uint16
	ID        [16]byte
	Body      []byte
}

// decode takes a record apart, without its size. The body is part of the record.
func decode(record []byte) (m Message, err error) {
	m.Timestamp = int64(binary.BigEndian.Uint64(record))
	m.Attempts = binary.BigEndian.Uint16(record[8:])
	copy(m.ID[:], record[10:])
	m.Body = record[headerBytes:]
	for _, c := range m.ID {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return m, fmt.Errorf("%q is no message id", m.ID)
		}
	}
	return m, nil
}

// append appends the record of a message, with its size.
func (m *Message) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(headerBytes+len(m.Body)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.Timestamp))
	dst = binary.BigEndian.AppendUint16(dst, m.Attempts)
	dst = append(dst, m.ID[:]...)
	return append(dst, m.Body...)
}
