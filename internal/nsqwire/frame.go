package nsqwire

import "encoding/binary"

// FrameType says what a frame from the server holds.
type FrameType uint32

// The frame types.
const (
	FrameResponse FrameType = 0
	FrameError    FrameType = 1
	FrameMessage  FrameType = 2
)

const (
	// FrameHeaderSize is the length in bytes of size and type before the data of a frame.
	FrameHeaderSize = 8
	// MessageHeaderSize is the length in bytes of time, attempts and id before the body of a message.
	MessageHeaderSize = 26
)

// MessageID names a message to clients: 16 bytes, of our server lower-case hexadecimal digits. A client may send any bytes.
type MessageID [16]byte

// Data of response frames.
const (
	OK        = "OK"
	CloseWait = "CLOSE_WAIT"
	Heartbeat = "_heartbeat_"
)

// MessageFrameSize returns the length in bytes of the whole frame of a message with a body of that many bytes.
func MessageFrameSize(bodySize int) int { return FrameHeaderSize + MessageHeaderSize + bodySize }

// AppendFrame appends a frame with data to dst and returns the extended slice.
func AppendFrame[T string | []byte](dst []byte, t FrameType, data T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(data)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(t))
	return append(dst, data...)
}

// AppendResponse appends a response frame.
func AppendResponse[T string | []byte](dst []byte, data T) []byte {
	return AppendFrame(dst, FrameResponse, data)
}

// AppendError appends the error frame of e.
func AppendError(dst []byte, e *Error) []byte { return AppendFrame(dst, FrameError, e.Error()) }

// AppendMessage appends the frame of a message: time in Unix nanoseconds, the number of this delivery from 1 on, id, body.
// It allocates only if dst has less than MessageFrameSize(len(body)) bytes of room.
func AppendMessage(dst []byte, time int64, attempts uint16, id *MessageID, body []byte) []byte {
	var head [FrameHeaderSize + MessageHeaderSize]byte
	binary.BigEndian.PutUint32(head[0:], uint32(4+MessageHeaderSize+len(body)))
	binary.BigEndian.PutUint32(head[4:], uint32(FrameMessage))
	binary.BigEndian.PutUint64(head[8:], uint64(time))
	binary.BigEndian.PutUint16(head[16:], attempts)
	copy(head[18:], id[:])
	dst = append(dst, head[:]...)
	return append(dst, body...)
}
