package nsqwire

import "time"

// Verb is the first word of a command.
type Verb uint8

// The commands of the protocol. The zero Verb is none of them.
const (
	_ Verb = iota
	IDENTIFY
	AUTH
	SUB
	RDY
	FIN
	REQ
	TOUCH
	CLS
	NOP
	PUB
	MPUB
	DPUB
)

// String returns the verb as a client spells it.
func (v Verb) String() string {
	switch v {
	case IDENTIFY:
		return "IDENTIFY"
	case AUTH:
		return "AUTH"
	case SUB:
		return "SUB"
	case RDY:
		return "RDY"
	case FIN:
		return "FIN"
	case REQ:
		return "REQ"
	case TOUCH:
		return "TOUCH"
	case CLS:
		return "CLS"
	case NOP:
		return "NOP"
	case PUB:
		return "PUB"
	case MPUB:
		return "MPUB"
	case DPUB:
		return "DPUB"
	}
	return "unknown"
}

// verbOf returns the verb with that spelling, 0 if there is none. Case matters.
func verbOf(word []byte) Verb {
	switch string(word) {
	case "PUB":
		return PUB
	case "FIN":
		return FIN
	case "RDY":
		return RDY
	case "REQ":
		return REQ
	case "TOUCH":
		return TOUCH
	case "MPUB":
		return MPUB
	case "DPUB":
		return DPUB
	case "NOP":
		return NOP
	case "SUB":
		return SUB
	case "CLS":
		return CLS
	case "AUTH":
		return AUTH
	case "IDENTIFY":
		return IDENTIFY
	}
	return 0
}

// Command is one decoded command. Its slices point into the buffer that was parsed, so they hold as long as that does.
type Command struct {
	Verb    Verb
	Topic   []byte        // SUB, PUB, MPUB, DPUB: a valid name
	Channel []byte        // SUB: a valid name
	ID      MessageID     // FIN, REQ, TOUCH
	Count   int           // RDY: 0 to Limits.MaxRdyCount; MPUB: number of messages
	Delay   time.Duration // REQ, DPUB: 0 to Limits.MaxReqTimeout
	Body    []byte        // IDENTIFY, AUTH, PUB, DPUB; MPUB: see Messages
}

// Limits bound what Parse accepts.
type Limits struct {
	MaxMsgSize    int           // bytes of one message, at least 1
	MaxBodySize   int           // bytes of the body of a command with more than one message, or with none
	MaxRdyCount   int           // largest count of RDY
	MaxReqTimeout time.Duration // longer delays of REQ are cut to it, of DPUB refused
}

// Messages returns the messages of an MPUB that Parse has accepted.
func (c *Command) Messages() Messages { return Messages{rest: c.Body[4:], left: c.Count} }
