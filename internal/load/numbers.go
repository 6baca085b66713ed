package load

import "math/bits"

// maxAhead is how far a number may lie beyond all that came before it. What lies further was never sent: no run keeps so
// much in the air, and the set would take memory without bound.
const maxAhead = 1 << 28

// numbers is a set of a stream's numbers, one bit each. Its zero value is empty.
type numbers struct{ words []uint64 }

// add puts a number into the set; false if it cannot be one of a stream's.
func (s *numbers) add(number int64) bool {
	word := int(number >> 6)
	if word >= len(s.words) {
		if word-len(s.words) > maxAhead>>6 {
			return false
		}
		s.words = append(s.words, make([]uint64, word+1-len(s.words))...)
	}
	s.words[word] |= 1 << (number & 63)
	return true
}

// merge adds all of other.
func (s *numbers) merge(other *numbers) {
	if more := len(other.words) - len(s.words); more > 0 {
		s.words = append(s.words, make([]uint64, more)...)
	}
	for i, w := range other.words {
		s.words[i] |= w
	}
}

// count returns how many numbers are in the set.
func (s *numbers) count() (n int64) {
	for _, w := range s.words {
		n += int64(bits.OnesCount64(w))
	}
	return n
}

// without returns how many numbers of the set are not in other.
func (s *numbers) without(other *numbers) (n int64) {
	for i, w := range s.words {
		if i < len(other.words) {
			w &^= other.words[i]
		}
		n += int64(bits.OnesCount64(w))
	}
	return n
}

// from returns how many numbers of the set are end or above.
func (s *numbers) from(end int64) (n int64) {
	for i := int(end >> 6); i < len(s.words); i++ {
		w := s.words[i]
		if i == int(end>>6) {
			w &^= 1<<(end&63) - 1
		}
		n += int64(bits.OnesCount64(w))
	}
	return n
}
