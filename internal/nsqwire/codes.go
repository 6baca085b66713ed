package nsqwire

import "fmt"

// Code is the first word of an error frame. Programs compare it.
type Code string

// The codes that a server sends.
const (
	CodeBadProtocol    Code = "E_BAD_PROTOCOL"    // the magic is not that of a protocol we speak
	CodeInvalid        Code = "E_INVALID"         // unknown command, wrong state, wrong parameters
	CodeBadBody        Code = "E_BAD_BODY"        // size or content of the body of IDENTIFY, AUTH or MPUB
	CodeBadMessage     Code = "E_BAD_MESSAGE"     // size of a message
	CodeBadTopic       Code = "E_BAD_TOPIC"       // not the name of a topic
	CodeBadChannel     Code = "E_BAD_CHANNEL"     // not the name of a channel
	CodeIdentifyFailed Code = "E_IDENTIFY_FAILED" // an upgrade of the connection failed
	CodeAuthDisabled   Code = "E_AUTH_DISABLED"   // AUTH to a server that does not ask for it
	CodeAuthFailed     Code = "E_AUTH_FAILED"     // the AUTH server gives no usable answer
	CodeAuthFirst      Code = "E_AUTH_FIRST"      // the command needs AUTH before it
	CodeUnauthorized   Code = "E_UNAUTHORIZED"    // not allowed to this client
	CodeSubFailed      Code = "E_SUB_FAILED"      // the channel could not be opened
	CodePubFailed      Code = "E_PUB_FAILED"      // the message was not made durable
	CodeMPubFailed     Code = "E_MPUB_FAILED"     // none of the messages was made durable
	CodeDPubFailed     Code = "E_DPUB_FAILED"     // the message was not made durable
	CodeFinFailed      Code = "E_FIN_FAILED"      // not in flight for this client
	CodeReqFailed      Code = "E_REQ_FAILED"      // not in flight for this client
	CodeTouchFailed    Code = "E_TOUCH_FAILED"    // not in flight for this client
)

// Fatal reports whether the server closes the connection after an error of this code. All are but the three that tell
// of one message that is not in flight any more.
func (c Code) Fatal() bool {
	return c != CodeFinFailed && c != CodeReqFailed && c != CodeTouchFailed
}

// Error is a refusal as it goes over the wire.
type Error struct {
	Code   Code
	Reason string // for people; may be empty
}

// Error returns the data of the error frame: code and reason.
func (e *Error) Error() string {
	if e.Reason == "" {
		return string(e.Code)
	}
	return string(e.Code) + " " + e.Reason
}

// Errorf makes an Error whose reason is formatted as by fmt.Sprintf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// maxEchoSize bounds how much of a client's word an error text repeats, in bytes.
const maxEchoSize = 128

// clip shortens a client's word for an error text.
func clip(word []byte) []byte {
	if len(word) > maxEchoSize {
		return word[:maxEchoSize]
	}
	return word
}
