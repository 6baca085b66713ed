package lookupwire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// OK is the answer to a command that was done.
const OK = "OK"

// AppendAnswer appends an answer.
func AppendAnswer[T string | []byte](dst []byte, data T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	return append(dst, data...)
}

// ParseAnswer decodes the answer at the beginning of buf. Either n > 0, and data, which points into buf, and the size before it took n
// bytes; or need > len(buf), and the answer is not complete before buf holds that many; or err says that what comes is not an
// answer. need is at most 4 + MaxAnswerSize.
func ParseAnswer(buf []byte) (data []byte, n, need int, err error) {
	if len(buf) < 4 {
		return nil, 0, 4, nil
	}
	size := int(int32(binary.BigEndian.Uint32(buf)))
	if size < 0 || size > MaxAnswerSize {
		return nil, 0, 0, fmt.Errorf("not an answer of the lookup protocol: begins with %q", buf[:min(len(buf), 16)])
	}
	if len(buf) < 4+size {
		return nil, 0, 4 + size, nil
	}
	return buf[4 : 4+size : 4+size], 4 + size, 0, nil
}

// Refused returns the error that an answer tells of, or nil.
func Refused(data []byte) error {
	if text := string(data[:min(len(data), 256)]); strings.HasPrefix(text, "E_") {
		return fmt.Errorf("refused: %s", text)
	}
	return nil
}
