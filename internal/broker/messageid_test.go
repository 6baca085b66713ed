package broker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

func TestMessageIDIsSixteenLowerCaseDigits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		topic, partition := random.Uint64(), uint16(random.Uint32())
		offset := record.Offset(random.Uint64() & (1<<offsetBits - 1))
		id := makeMessageID(topic, partition, offset)
		want := fmt.Sprintf("%016x", (uint64(partition)<<offsetBits|uint64(offset))^topic)
		if string(id[:]) != want {
			t.Fatalf("id %s instead of %s", id, want)
		}
		if p, o, ok := id.split(topic); p != partition || o != offset || !ok {
			t.Fatalf("%s splits into %d, %d, %v instead of %d, %d", id, p, o, ok, partition, offset)
		}
	}
}

func TestMessageIDWithAnyOtherByteIsRefused(t *testing.T) {
	good := makeMessageID(0x0123456789abcdef, 0, 0)
	for at := range good {
		for c := range 256 {
			id := good
			id[at] = byte(c)
			digit := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
			if _, _, ok := id.split(0); ok != digit {
				t.Fatalf("byte %#x at %d: ok = %v", c, at, ok)
			}
		}
	}
}

func BenchmarkMakeMessageID(b *testing.B) {
	b.ReportAllocs()
	var offset record.Offset
	var sum byte
	for b.Loop() {
		id := makeMessageID(0x0123456789abcdef, 3, offset)
		sum += id[15]
		offset++
	}
	_ = sum
}

func BenchmarkSplitMessageID(b *testing.B) {
	id := makeMessageID(0x0123456789abcdef, 3, 123456)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := id.split(0x0123456789abcdef); !ok {
			b.Fatal("refused")
		}
	}
}
