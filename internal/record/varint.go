package record

import "math/bits"

// Varints are those of Kafka and Protocol Buffers: zigzag, then seven bits a byte, lowest first, the high bit set on all
// bytes but the last.

// maxVarintBytes is the longest encoding of 64 bits.
const maxVarintBytes = 10

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

// varintLen returns how many bytes appendVarint adds.
func varintLen(v int64) int { return (bits.Len64(zigzag(v)|1) + 6) / 7 }

func appendVarint(dst []byte, v int64) []byte {
	u := zigzag(v)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

// varint decodes the varint at the start of p and returns the bytes it takes; 0 if it is cut off or longer than 64 bits.
func varint(p []byte) (v int64, n int) {
	if len(p) > 0 && p[0] < 0x80 {
		return int64(p[0]>>1) ^ -int64(p[0]&1), 1
	}
	return longVarint(p)
}

func longVarint(p []byte) (v int64, n int) {
	var u uint64
	for i := 0; i < len(p) && i < maxVarintBytes; i++ {
		b := p[i]
		if i == maxVarintBytes-1 && b > 1 {
			return 0, 0
		}
		u |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
	}
	return 0, 0
}
