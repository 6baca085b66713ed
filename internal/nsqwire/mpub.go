package nsqwire

import "encoding/binary"

// Messages yields the bodies of an MPUB, which has been checked as a whole before.
type Messages struct {
	rest []byte // [size][message] of those not yet yielded
	left int
}

// Len returns how many messages are left.
func (m *Messages) Len() int { return m.left }

// Next returns the next message, a slice of the MPUB's body; false after the last.
func (m *Messages) Next() ([]byte, bool) {
	if m.left == 0 {
		return nil, false
	}
	m.left--
	end := 4 + int(binary.BigEndian.Uint32(m.rest))
	body := m.rest[4:end:end]
	m.rest = m.rest[end:]
	return body, true
}

// ParseMPUB checks a whole MPUB body, count first, as HTTP's /mpub?binary=true gets it. Bytes after the last message are
// ignored, as nsqd does. The error is an *Error of CodeBadBody or CodeBadMessage.
func ParseMPUB(body []byte, lim *Limits) (Messages, error) {
	w := mpubWalk{lim: lim}
	if err := w.walk(body); err != nil {
		return Messages{}, err
	}
	if w.need > len(body) {
		return Messages{}, truncatedMPUB(body, &w)
	}
	return Messages{rest: body[4:], left: w.count}, nil
}

// mpubWalk goes through an MPUB body of which perhaps only a part has arrived.
type mpubWalk struct {
	lim   *Limits
	count int // number of messages announced; 0 while unknown
	done  int // messages that are there as a whole
	size  int // bytes of count and those messages
	need  int // bytes that the body has at least; complete when all of them are there
}

// walk sets count, done, size and need from the beginning of a body, and refuses it as soon as it shows that it is too
// large. Because need counts the least that all announced messages take, walking again only when that much has arrived
// takes few walks, however the bytes trickle in.
func (w *mpubWalk) walk(buf []byte) *Error {
	w.need = 4
	if len(buf) < 4 {
		return nil
	}
	count := int(int32(binary.BigEndian.Uint32(buf)))
	if count <= 0 || count > (w.lim.MaxBodySize-4)/5 {
		return Errorf(CodeBadBody, "MPUB invalid message count %d", count)
	}
	w.count, w.size = count, 4
	for w.done < count {
		left := count - w.done
		if len(buf)-w.size < 4 {
			w.need = w.size + 5*left
			return nil
		}
		size := int(int32(binary.BigEndian.Uint32(buf[w.size:])))
		if size <= 0 {
			return Errorf(CodeBadMessage, "MPUB invalid message(%d) body size %d", w.done, size)
		}
		if size > w.lim.MaxMsgSize {
			return Errorf(CodeBadMessage, "MPUB message too big %d > %d", size, w.lim.MaxMsgSize)
		}
		w.need = w.size + 4 + size + 5*(left-1)
		if w.need > w.lim.MaxBodySize {
			return Errorf(CodeBadBody, "MPUB body too big %d > %d", w.need, w.lim.MaxBodySize)
		}
		if len(buf)-w.size-4 < size {
			return nil
		}
		w.size += 4 + size
		w.done++
	}
	w.need = w.size
	return nil
}

// truncatedMPUB says what is missing from a body that will not be completed.
func truncatedMPUB(body []byte, w *mpubWalk) *Error {
	switch {
	case w.count == 0:
		return Errorf(CodeBadBody, "MPUB failed to read message count")
	case len(body)-w.size < 4:
		return Errorf(CodeBadMessage, "MPUB failed to read message(%d) body size", w.done)
	}
	return Errorf(CodeBadMessage, "MPUB failed to read message body")
}
