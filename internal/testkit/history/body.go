package history

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// Key names one message of a run: who published it, and the how-many-th of that publisher it is.
type Key struct {
	Publisher uint32
	Seq       uint32
}

// String gives the key as it is written in reports and files.
func (k Key) String() string { return fmt.Sprintf("%d/%d", k.Publisher, k.Seq) }

// A body is one line of text, so that it survives tools that work on lines:
//
//	w1 rrrrrrrr pppppppp ssssssss cccccccc padding…
//	   run      publisher sequence checksum (CRC-32C over all of the line except these eight digits)
const (
	bodyMagic = "w1 "
	crcAt     = len(bodyMagic) + 3*9
	// MinBodyBytes is the length of a body without padding.
	MinBodyBytes = crcAt + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Body errors of Parse: what a delivered body is when it is not an intact message of this run.
var (
	ErrForeign = errors.New("not a message of this run")
	ErrCorrupt = errors.New("message body does not match its checksum")
)

// Body makes the body of message k of a run, sizeBytes long (at least MinBodyBytes). Padding depends on the key, so that
// bodies which were mixed up do not look alike.
func Body(run uint32, k Key, sizeBytes int) []byte {
	b := make([]byte, 0, max(sizeBytes, MinBodyBytes))
	b = fmt.Appendf(b, "%s%08x %08x %08x 00000000", bodyMagic, run, k.Publisher, k.Seq)
	for x := k.Seq*2654435761 + k.Publisher; len(b) < sizeBytes; x = x*1664525 + 1013904223 {
		b = append(b, 'a'+byte(x>>24)%26)
	}
	copy(b[crcAt:], fmt.Sprintf("%08x", bodyCRC(b)))
	return b
}

// Parse returns the key of a delivered body; ErrForeign if it belongs to another run or to nobody, ErrCorrupt if it was
// damaged. It keeps nothing of body.
func Parse(run uint32, body []byte) (Key, error) {
	if len(body) < MinBodyBytes || string(body[:len(bodyMagic)]) != bodyMagic {
		return Key{}, ErrForeign
	}
	var f [4]uint32
	for i := range f {
		at := len(bodyMagic) + 9*i
		v, err := strconv.ParseUint(string(body[at:at+8]), 16, 32)
		if err != nil {
			return Key{}, ErrCorrupt
		}
		f[i] = uint32(v)
	}
	if f[3] != bodyCRC(body) {
		return Key{}, ErrCorrupt
	}
	if f[0] != run {
		return Key{}, ErrForeign
	}
	return Key{Publisher: f[1], Seq: f[2]}, nil
}

func bodyCRC(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, b[:crcAt])
	return crc32.Update(sum, castagnoli, b[crcAt+8:])
}
