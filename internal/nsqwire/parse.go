package nsqwire

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// Parse decodes the command at the beginning of buf into cmd, without allocating. Exactly one of three things holds:
//
//   - n > 0: cmd is complete and took n bytes of buf.
//   - need > 0: it is not complete, and cannot be before buf holds need bytes (need > len(buf)). Nothing larger than the
//     limits allow is ever asked for.
//   - err is an *Error: the command cannot be accepted, and what follows in buf cannot be understood.
//
// cmd.Verb is set as soon as the command line is there, also in the last two cases, so that a caller can report a wrong
// state first, as nsqd does.
func Parse(buf []byte, lim *Limits, cmd *Command) (n, need int, err error) {
	*cmd = Command{}
	end := bytes.IndexByte(buf[:min(len(buf), MaxLineSize)], '\n')
	if end < 0 {
		if len(buf) >= MaxLineSize {
			return 0, 0, Errorf(CodeInvalid, "command line longer than %d bytes", MaxLineSize)
		}
		return 0, len(buf) + 1, nil
	}
	line := buf[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	p := params{rest: line}
	word, _ := p.next()
	cmd.Verb = verbOf(word)
	n, need, e := parseVerb(buf, end+1, word, &p, lim, cmd)
	if e != nil {
		return 0, 0, e // never a nil *Error in an error
	}
	return n, need, nil
}

// parseVerb goes on after the verb; the command line ends at pos.
func parseVerb(buf []byte, pos int, word []byte, p *params, lim *Limits, cmd *Command) (n, need int, err *Error) {
	switch cmd.Verb {
	case PUB, DPUB:
		if err := parsePubLine(p, lim, cmd); err != nil {
			return 0, 0, err
		}
		return parseBody(buf, pos, CodeBadMessage, "message body", "message", lim.MaxMsgSize, cmd)
	case MPUB:
		if err := parsePubLine(p, lim, cmd); err != nil {
			return 0, 0, err
		}
		return parseMPUB(buf, pos, lim, cmd)
	case FIN, REQ, TOUCH:
		err = parseMessageLine(p, lim, cmd)
	case RDY:
		err = parseRDY(p, lim, cmd)
	case SUB:
		err = parseSUB(p, cmd)
	case CLS, NOP:
	case AUTH:
		if p.more() {
			return 0, 0, Errorf(CodeInvalid, "AUTH invalid number of parameters")
		}
		return parseBody(buf, pos, CodeBadBody, "body", "body", lim.MaxBodySize, cmd)
	case IDENTIFY:
		return parseBody(buf, pos, CodeBadBody, "body", "body", lim.MaxBodySize, cmd)
	default:
		err = Errorf(CodeInvalid, "invalid command %s", clip(word))
	}
	return pos, 0, err
}

// parsePubLine reads the parameters of PUB, MPUB and DPUB.
func parsePubLine(p *params, lim *Limits, cmd *Command) *Error {
	topic, ok := p.next()
	var delay []byte
	if ok && cmd.Verb == DPUB {
		delay, ok = p.next()
	}
	if !ok {
		return Errorf(CodeInvalid, "%s insufficient number of parameters", cmd.Verb)
	}
	if !ValidName(topic) {
		prefix := ""
		if cmd.Verb == MPUB {
			prefix = "E_BAD_TOPIC " // nsqd says it twice, and scripts may look for it
		}
		return Errorf(CodeBadTopic, "%s%s topic name %q is not valid", prefix, cmd.Verb, clip(topic))
	}
	cmd.Topic = topic
	if cmd.Verb != DPUB {
		return nil
	}
	ms, ok := parseDecimal(delay)
	if !ok {
		return Errorf(CodeInvalid, "DPUB could not parse timeout %s", clip(delay))
	}
	if limit := lim.MaxReqTimeout.Milliseconds(); ms > limit {
		return Errorf(CodeInvalid, "DPUB timeout %d out of range 0-%d", ms, limit)
	}
	cmd.Delay = time.Duration(ms) * time.Millisecond
	return nil
}

// parseMessageLine reads the parameters of FIN, REQ and TOUCH.
func parseMessageLine(p *params, lim *Limits, cmd *Command) *Error {
	id, ok := p.next()
	var delay []byte
	if ok && cmd.Verb == REQ {
		delay, ok = p.next()
	}
	if !ok {
		return Errorf(CodeInvalid, "%s insufficient number of params", cmd.Verb)
	}
	if len(id) != len(cmd.ID) {
		return Errorf(CodeInvalid, "invalid message ID")
	}
	copy(cmd.ID[:], id)
	if cmd.Verb != REQ {
		return nil
	}
	ms, ok := parseDecimal(delay)
	if !ok {
		return Errorf(CodeInvalid, "REQ could not parse timeout %s", clip(delay))
	}
	cmd.Delay = time.Duration(min(ms, lim.MaxReqTimeout.Milliseconds())) * time.Millisecond
	return nil
}

// parseRDY reads the parameter of RDY, 1 if it is left out.
func parseRDY(p *params, lim *Limits, cmd *Command) *Error {
	cmd.Count = 1
	word, ok := p.next()
	if !ok {
		return nil
	}
	count, ok := parseDecimal(word)
	if !ok {
		return Errorf(CodeInvalid, "RDY could not parse count %s", clip(word))
	}
	if count > int64(lim.MaxRdyCount) {
		return Errorf(CodeInvalid, "RDY count %d out of range 0-%d", count, lim.MaxRdyCount)
	}
	cmd.Count = int(count)
	return nil
}

// parseSUB reads the parameters of SUB.
func parseSUB(p *params, cmd *Command) *Error {
	topic, _ := p.next()
	channel, ok := p.next()
	if !ok {
		return Errorf(CodeInvalid, "SUB insufficient number of parameters")
	}
	if !ValidName(topic) {
		return Errorf(CodeBadTopic, "SUB topic name %q is not valid", clip(topic))
	}
	if !ValidName(channel) {
		return Errorf(CodeBadChannel, "SUB channel name %q is not valid", clip(channel))
	}
	cmd.Topic, cmd.Channel = topic, channel
	return nil
}

// parseBody reads [size][body] at pos. The size is judged as soon as its four bytes are there.
func parseBody(buf []byte, pos int, code Code, what, bigWhat string, limit int, cmd *Command) (n, need int, err *Error) {
	if len(buf)-pos < 4 {
		return 0, pos + 4, nil
	}
	size := int(int32(binary.BigEndian.Uint32(buf[pos:])))
	if size <= 0 {
		return 0, 0, Errorf(code, "%s invalid %s size %d", cmd.Verb, what, size)
	}
	if size > limit {
		return 0, 0, Errorf(code, "%s %s too big %d > %d", cmd.Verb, bigWhat, size, limit)
	}
	pos += 4
	if len(buf)-pos < size {
		return 0, pos + size, nil
	}
	cmd.Body = buf[pos : pos+size : pos+size]
	return pos + size, 0, nil
}

// parseMPUB reads [size][count]([size][message])* at pos. Like nsqd it judges the announced size, then goes by count and
// sizes of the messages alone.
func parseMPUB(buf []byte, pos int, lim *Limits, cmd *Command) (n, need int, err *Error) {
	if len(buf)-pos < 4 {
		return 0, pos + 4, nil
	}
	size := int(int32(binary.BigEndian.Uint32(buf[pos:])))
	if size <= 0 {
		return 0, 0, Errorf(CodeBadBody, "MPUB invalid body size %d", size)
	}
	if size > lim.MaxBodySize {
		return 0, 0, Errorf(CodeBadBody, "MPUB body too big %d > %d", size, lim.MaxBodySize)
	}
	pos += 4
	w := mpubWalk{lim: lim}
	if err := w.walk(buf[pos:]); err != nil {
		return 0, 0, err
	}
	if w.need > len(buf)-pos {
		return 0, pos + w.need, nil
	}
	cmd.Count = w.count
	cmd.Body = buf[pos : pos+w.size : pos+w.size]
	return pos + w.size, 0, nil
}

// Truncated returns the error for a command that Parse found incomplete and that will not be completed because the
// client has closed its side. It is nil if nothing is to be said: not even the command line was there.
func Truncated(buf []byte, cmd *Command, lim *Limits) *Error {
	pos := bytes.IndexByte(buf, '\n') + 1
	if cmd.Verb == 0 || pos == 0 {
		return nil
	}
	body := buf[pos:]
	code, what := CodeBadBody, "body"
	if cmd.Verb == PUB || cmd.Verb == DPUB {
		code, what = CodeBadMessage, "message body"
	}
	if len(body) < 4 {
		return Errorf(code, "%s failed to read %s size", cmd.Verb, what)
	}
	if cmd.Verb == MPUB {
		w := mpubWalk{lim: lim}
		if err := w.walk(body[4:]); err != nil {
			return err
		}
		return truncatedMPUB(body[4:], &w)
	}
	return Errorf(code, "%s failed to read %s", cmd.Verb, what)
}

// params yields the words of a command line, split at every single space.
type params struct {
	rest []byte
	done bool // the last word has been taken
}

func (p *params) next() ([]byte, bool) {
	if p.done {
		return nil, false
	}
	i := bytes.IndexByte(p.rest, ' ')
	if i < 0 {
		p.done = true
		return p.rest, true
	}
	word := p.rest[:i]
	p.rest = p.rest[i+1:]
	return word, true
}

func (p *params) more() bool { return !p.done }

// parseDecimal reads digits; too large a number stops at the largest int64. No digits at all are 0, as in nsqd.
func parseDecimal(word []byte) (int64, bool) {
	var n int64
	for _, c := range word {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + d
	}
	return n, true
}
