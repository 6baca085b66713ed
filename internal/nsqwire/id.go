package nsqwire

// MessageID names a message to clients: 16 bytes, for us lower-case hexadecimal digits of a 64-bit number, most
// significant first. A client may send any 16 bytes.
type MessageID [16]byte

// FormatMessageID returns the id with the digits of n.
func FormatMessageID(n uint64) (id MessageID) {
	const digits = "0123456789abcdef"
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = digits[n&15]
		n >>= 4
	}
	return id
}

// Number returns the number whose digits id holds, and whether it holds one as FormatMessageID writes it.
func (id *MessageID) Number() (n uint64, ok bool) {
	for _, c := range id {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
