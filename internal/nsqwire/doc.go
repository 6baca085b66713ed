// Package nsqwire encodes and decodes the NSQ V2 protocol: the bytes between a client and nsqd, nothing else. It opens no
// connection, starts no goroutine, takes no lock and reads no clock; internal/nsqtcp is the server around it, and
// internal/nsqhttp shares its rules for names and MPUB bodies.
//
// A connection begins with the four bytes of Magic. Then the client sends commands, and the server sends frames.
//
//	command   VERB p1 p2\n                    parameters are split at every single space, \r before \n is dropped
//	          VERB p1 p2\n [size 4] body      IDENTIFY, AUTH, PUB, MPUB, DPUB: size is a signed big-endian int
//
//	frame     [size 4] [type 4] data          size counts type and data; integers are big-endian
//	          type 0  response                OK, CLOSE_WAIT, _heartbeat_, JSON
//	          type 1  error                   E_CODE reason
//	          type 2  message                 [time 8: Unix ns] [attempts 2] [id 16: ASCII hex] body
//
//	MPUB body [count 4] ([size 4] message)*
//
// Decoding follows nsqd 1.3.0 to the letter, its texts included, with three deliberate differences. A command line that
// is too long gets E_INVALID before the connection closes, where nsqd closes silently. The messages of an MPUB together
// may not exceed the limit of a body, where nsqd checks only the announced size, which need not be true. Words of the
// client are clipped when an error text repeats them.
package nsqwire

// Magic is what a client sends first to speak this protocol.
const Magic = "  V2"

// MaxLineSize is the largest length of a command line in bytes, its newline included.
const MaxLineSize = 16 << 10
