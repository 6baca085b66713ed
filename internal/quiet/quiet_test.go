package quiet

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestALineIsRepeatedOnlyAfterTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		for range 10 {
			l.Warn("a", "first")
		}
		l.Warn("b", "second")
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Fatalf("%d lines: %s", n, out.String())
		}
		time.Sleep(Interval)
		l.Warn("a", "first")
		if !strings.Contains(out.String(), "left_out=9") {
			t.Fatalf("what was left out is not told: %s", out.String())
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	for i := range 10 * maxKeys {
		l.Warn(fmt.Sprint(i), "line")
	}
	if n := len(l.mu.last); n > maxKeys {
		t.Fatalf("%d keys are kept", n)
	}
}
