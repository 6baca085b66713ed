// Package lookupwire encodes and decodes NSQ's lookup protocol V1: the bytes between a broker and nsqlookupd, nothing else. Like
// nsqwire it opens no connection, starts no goroutine, takes no lock and reads no clock.
//
// A connection begins with the four bytes of Magic. Then the broker sends commands, and the lookup service answers each, in
// order.
//
//	command   VERB p1 p2\n                  space around the line is dropped, then it is split at every single space
//	          IDENTIFY\n [size 4] JSON      size is a signed big-endian int
//
//	answer    [size 4] data                 OK, JSON (to IDENTIFY), or E_CODE reason; after an error the service closes
//
// Decoding follows nsqlookupd 1.3.0, its texts included, but is bounded: a line may have MaxLineSize bytes and a body
// MaxBodySize, where nsqlookupd takes lines without end, allocates what a body announces, and falls over a negative size.
package lookupwire

// Magic is what a broker sends first to speak this protocol.
const Magic = "  V1"

// Limits of what is accepted, in bytes.
const (
	// MaxLineSize is the largest length of a command line, its newline included.
	MaxLineSize = 4 << 10
	// MaxBodySize is the largest body of an IDENTIFY. The service keeps what is in it as long as the connection lives.
	MaxBodySize = 8 << 10
	// MaxAnswerSize is the largest data of an answer that a broker takes.
	MaxAnswerSize = 64 << 10
)
