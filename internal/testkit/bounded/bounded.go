// Package bounded holds decoders to the rule that a length is judged before memory is taken for it: what a decoder allocates depends on
// the bytes it was given, not on what they announce. Only tests import it.
package bounded

import (
	"runtime"
	"testing"
)

// A Budget is what a decoder may take, garbage included: so much whatever it is given, and so much for each byte of it, as a structure is
// larger than its encoding.
type Budget struct{ BaseBytes, BytesPerByte int }

// usual is the budget of decoders that state none of their own.
var usual = Budget{BaseBytes: 1 << 20, BytesPerByte: 64}

// Memory runs decode, which reads inputBytes, and fails the test if it takes more memory than 1 MiB and 64 bytes for each byte. No other
// goroutine of the test may be at work.
func Memory(t testing.TB, inputBytes int, decode func()) {
	t.Helper()
	usual.Memory(t, inputBytes, decode)
}

// Memory is the function Memory with another budget.
func (b Budget) Memory(t testing.TB, inputBytes int, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if taken, most := after.TotalAlloc-before.TotalAlloc, uint64(b.BaseBytes+inputBytes*b.BytesPerByte); taken > most {
		t.Errorf("decoding %d bytes took %d bytes of memory, at most %d are reasonable", inputBytes, taken, most)
	}
}
