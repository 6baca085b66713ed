// Package bounded holds decoders to the rule that a length is judged before memory is taken for it: what a decoder allocates depends on
// the bytes it was given, not on what they announce. Only tests import it.
package bounded

import (
	"runtime"
	"testing"
)

// A decoder may take so much whatever it is given, and so much for each byte: a structure is larger than its encoding, that of a channel's
// finished set most of all (a run far above the floor, a few bytes, takes up to 2 MiB). What is announced and not sent, gigabytes, is far
// beyond.
const (
	baseBytes    = 4 << 20
	bytesPerByte = 256 << 10
)

// Memory runs decode, which reads inputBytes, and fails the test if it takes more memory than such an input can be worth. No other goroutine
// of the test may be at work.
func Memory(t testing.TB, inputBytes int, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if taken, most := after.TotalAlloc-before.TotalAlloc, uint64(baseBytes+inputBytes*bytesPerByte); taken > most {
		t.Errorf("decoding %d bytes took %d bytes of memory, at most %d are reasonable", inputBytes, taken, most)
	}
}
