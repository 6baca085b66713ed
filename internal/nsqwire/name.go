package nsqwire

// MaxNameSize is the largest length in bytes of the name of a topic or channel, a suffix included.
const MaxNameSize = 64

// EphemeralSuffix ends the names of topics and channels that live only as long as they are used.
const EphemeralSuffix = "#ephemeral"

// The bytes allowed in a name, as bits of two words: . - 0-9 and A-Z a-z _.
const (
	nameBytesLow  = 1<<'.' | 1<<'-' | (1<<('9'+1) - 1<<'0')
	nameBytesHigh = 1<<('_'-64) | (1<<('Z'+1-64) - 1<<('A'-64)) | (1<<('z'+1-64) - 1<<('a'-64))
)

// ValidName reports whether name may name a topic or a channel: 1 to MaxNameSize bytes of . a-z A-Z 0-9 _ -, then perhaps
// EphemeralSuffix.
func ValidName[T string | []byte](name T) bool {
	if len(name) == 0 || len(name) > MaxNameSize {
		return false
	}
	n := len(name)
	if IsEphemeral(name) {
		n -= len(EphemeralSuffix)
	}
	for i := range n {
		c := name[i]
		var ok uint64
		switch {
		case c < 64:
			ok = nameBytesLow >> c & 1
		case c < 128:
			ok = nameBytesHigh >> (c - 64) & 1
		}
		if ok == 0 {
			return false
		}
	}
	return n > 0
}

// IsEphemeral reports whether name ends with EphemeralSuffix.
func IsEphemeral[T string | []byte](name T) bool {
	n := len(name) - len(EphemeralSuffix)
	return n >= 0 && string(name[n:]) == EphemeralSuffix
}
