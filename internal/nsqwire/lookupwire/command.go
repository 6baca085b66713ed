package lookupwire

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/weirmq/weir/internal/nsqwire"
)

// Verb is the first word of a command.
type Verb uint8

// The commands of the protocol. The zero Verb is none of them.
const (
	_ Verb = iota
	IDENTIFY
	REGISTER
	UNREGISTER
	PING
)

// verbs are the spellings. Case matters.
var verbs = map[string]Verb{"IDENTIFY": IDENTIFY, "REGISTER": REGISTER, "UNREGISTER": UNREGISTER, "PING": PING}

// Command is one decoded command.
type Command struct {
	Verb    Verb
	Topic   string // REGISTER, UNREGISTER: a valid name
	Channel string // likewise, or empty: the command is about the topic
	Body    []byte // IDENTIFY: points into the buffer that was parsed
}

// Parse decodes the command at the beginning of buf into cmd. Exactly one of three things holds:
//
//   - n > 0: cmd is complete and took n bytes of buf.
//   - need > 0: it is not complete, and cannot be before buf holds need bytes (need > len(buf)); that is at most
//     MaxLineSize + 4 + MaxBodySize.
//   - err is a *nsqwire.Error: the command cannot be accepted, and what follows in buf cannot be understood.
//
// cmd.Verb is set as soon as the command line is there, also in the last two cases, so that a caller can report a wrong
// state first, as nsqlookupd does.
func Parse(buf []byte, cmd *Command) (n, need int, err error) {
	*cmd = Command{}
	end := bytes.IndexByte(buf[:min(len(buf), MaxLineSize)], '\n')
	if end < 0 {
		if len(buf) >= MaxLineSize {
			return 0, 0, nsqwire.Errorf(nsqwire.CodeInvalid, "command line longer than %d bytes", MaxLineSize)
		}
		return 0, len(buf) + 1, nil
	}
	pos := end + 1
	words := strings.Split(string(bytes.TrimSpace(buf[:end])), " ")
	cmd.Verb = verbs[words[0]]
	switch cmd.Verb {
	case IDENTIFY:
		return parseBody(buf, pos, cmd)
	case REGISTER, UNREGISTER:
		if err := parseNames(words, cmd); err != nil {
			return 0, 0, err
		}
	case PING:
	default:
		return 0, 0, nsqwire.Errorf(nsqwire.CodeInvalid, "invalid command %s", clip(words[0]))
	}
	return pos, 0, nil
}

// parseBody reads [size][body] at pos. The size is judged as soon as its four bytes are there.
func parseBody(buf []byte, pos int, cmd *Command) (n, need int, err error) {
	if len(buf)-pos < 4 {
		return 0, pos + 4, nil
	}
	size := int(int32(binary.BigEndian.Uint32(buf[pos:])))
	if size < 0 || size > MaxBodySize {
		return 0, 0, nsqwire.Errorf(nsqwire.CodeBadBody, "IDENTIFY invalid body size %d", size)
	}
	pos += 4
	if len(buf)-pos < size {
		return 0, pos + size, nil
	}
	cmd.Body = buf[pos : pos+size : pos+size]
	return pos + size, 0, nil
}

// parseNames reads the parameters of REGISTER and UNREGISTER.
func parseNames(words []string, cmd *Command) error {
	if len(words) < 2 {
		return nsqwire.Errorf(nsqwire.CodeInvalid, "%s insufficient number of params", words[0])
	}
	if !nsqwire.ValidName(words[1]) {
		return nsqwire.Errorf(nsqwire.CodeBadTopic, "%s topic name '%s' is not valid", words[0], clip(words[1]))
	}
	cmd.Topic = words[1]
	if len(words) < 3 || words[2] == "" {
		return nil
	}
	if !nsqwire.ValidName(words[2]) {
		return nsqwire.Errorf(nsqwire.CodeBadChannel, "%s channel name '%s' is not valid", words[0], clip(words[2]))
	}
	cmd.Channel = words[2]
	return nil
}

// AppendRegister appends REGISTER of a topic, or of a channel unless that is empty.
func AppendRegister(dst []byte, topic, channel string) []byte {
	return appendNames(append(dst, "REGISTER "...), topic, channel)
}

// AppendUnregister appends UNREGISTER of a topic, or of a channel unless that is empty.
func AppendUnregister(dst []byte, topic, channel string) []byte {
	return appendNames(append(dst, "UNREGISTER "...), topic, channel)
}

// AppendPing appends PING.
func AppendPing(dst []byte) []byte { return append(dst, "PING\n"...) }

func appendNames(dst []byte, topic, channel string) []byte {
	dst = append(dst, topic...)
	if channel != "" {
		dst = append(append(dst, ' '), channel...)
	}
	return append(dst, '\n')
}

// clip shortens a client's word for an error text.
func clip(word string) string { return word[:min(len(word), 128)] }
