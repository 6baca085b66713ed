// Package env reads what whoever runs a test asks for: seeds, sizes, durations of loops. Only tests import it.
package env

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Number reads a whole number from the environment; it is otherwise if the variable is not set. What is no number ends the test.
func Number[N int | uint64](t testing.TB, variable string, otherwise N) N {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s=%q: want a whole number", variable, text)
	}
	return N(n)
}

// Seeds returns the first seed to run and how many: from 1 as many as WEIR_SEEDS says, or otherwise; the one of WEIR_SEED alone if that is set.
func Seeds(t testing.TB, otherwise uint64) (first, n uint64) {
	t.Helper()
	if one := Number[uint64](t, "WEIR_SEED", 0); one > 0 {
		return one, 1
	}
	return 1, Number(t, "WEIR_SEEDS", otherwise)
}

// Duration reads a length of time, such as 15m, from the environment; it is otherwise if the variable is not set.
func Duration(t testing.TB, variable string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%q: want a length of time such as 15m", variable, text)
	}
	return d
}
