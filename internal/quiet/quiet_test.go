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

func TestStrangersWithManyNamesDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		lines := func() int {
			defer out.Reset()
			return strings.Count(out.String(), "\n")
		}
		name := 0
		for i := range 4 {
			for range 10 * MaxKeys {
				name++
				l.Warn(fmt.Sprint("refused ", name), "refused")
			}
			l.Info("known", "there")
			l.Info("known", "there")
			if n := lines(); n != MaxKeys+2 { // one more for the others, one for another message
				t.Errorf("interval %d: %d lines are logged", i, n)
			}
			if n := len(l.mu.last); n > MaxKeys || len(l.mu.shared) > 2 {
				t.Errorf("interval %d: %d keys are kept, %d are shared", i, n, len(l.mu.shared))
			}
			time.Sleep(Interval)
		}
		l.Warn("refused by name", "refused")
		l.Warn("refused by name", "refused")
		if n := lines(); n != 1 {
			t.Errorf("after the interval a new name has %d lines", n)
		}
	})
}

func TestSharedLineTellsHowManyWereLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		l.Warn("a", "refused")
		time.Sleep(Interval / 2)
		for i := range MaxKeys - 1 + 4 { // the last four share a line
			l.Warn(fmt.Sprint("refused ", i), "refused")
		}
		time.Sleep(Interval / 2)
		out.Reset()
		l.Warn("b", "refused") // in the place of a
		l.Warn("c", "refused")
		if n := strings.Count(out.String(), "\n"); n != 1 {
			t.Errorf("%d lines: %s", n, out.String())
		}
		time.Sleep(Interval / 2)
		for i := range MaxKeys - 1 {
			l.Warn(fmt.Sprint("refused ", i), "refused")
		}
		out.Reset()
		l.Warn("d", "refused")
		if !strings.Contains(out.String(), "left_out=4") {
			t.Errorf("what the shared line left out is not told: %s", out.String())
		}
	})
}
