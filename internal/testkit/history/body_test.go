package history

import (
	"errors"
	"testing"
)

func TestBodyRoundTrip(t *testing.T) {
	for _, size := range []int{0, MinBodyBytes, MinBodyBytes + 1, 200, 70000} {
		k := Key{Publisher: 7, Seq: 4294967295}
		b := Body(42, k, size)
		if len(b) != max(size, MinBodyBytes) {
			t.Errorf("body of %d bytes has %d", size, len(b))
		}
		if got, err := Parse(42, b); err != nil || got != k {
			t.Errorf("size %d: parsed %v, %v", size, got, err)
		}
	}
}

func TestParseNoticesEveryFlippedBit(t *testing.T) {
	good := Body(42, Key{1, 2}, 64)
	for i := range good {
		for bit := range 8 {
			b := append([]byte(nil), good...)
			b[i] ^= 1 << bit
			if k, err := Parse(42, b); err == nil && !sameHexDigit(i, b[i], good[i]) {
				t.Fatalf("bit %d of byte %d flipped, and the body passes as %v", bit, i, k)
			}
		}
	}
	for n := range good {
		if _, err := Parse(42, good[:n]); err == nil {
			t.Fatalf("the first %d bytes pass", n)
		}
	}
}

func TestParseTellsAnotherRun(t *testing.T) {
	if _, err := Parse(43, Body(42, Key{1, 2}, 64)); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}

// sameHexDigit excuses a flip that only turns a digit of the checksum itself into upper case.
func sameHexDigit(at int, a, b byte) bool {
	return at >= crcAt && at < MinBodyBytes && a|0x20 == b|0x20
}
