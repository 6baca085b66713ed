package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATerminalSeesTheProgressAndTheTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		m := NewMeter("nsq_to_http")
		m.Terminal = &screen
		stop := m.Start()
		m.Count([]byte("12345"))
		time.Sleep(2 * time.Second)
		m.Failed.Add(2)
		stop()
		shown := strings.Split(screen.String(), "\r")
		if len(shown) < 8 || !strings.HasPrefix(shown[1], "nsq_to_http: 1 done (5 bytes), 0 failed, 0 skipped in 200ms, 5/s") ||
			shown[len(shown)-1] != "nsq_to_http: 1 done (5 bytes), 2 failed, 0 skipped in 2s, 0/s\n" {
			t.Errorf("got %q", shown)
		}
	})
}

func TestWithoutATerminalTheLogHasTheTotalsAndTheProgressIfAskedFor(t *testing.T) {
	for _, progress := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			m := NewMeter("t")
			m.Logger, m.Progress = slog.New(slog.NewJSONHandler(&out, nil)), progress
			stop := m.Start()
			m.Count([]byte("12345"))
			time.Sleep(25 * time.Second)
			stop()
			var messages []string
			for line := range strings.Lines(out.String()) {
				var got struct {
					Msg         string
					Done, Bytes int
				}
				if err := json.Unmarshal([]byte(line), &got); err != nil || got.Done != 1 || got.Bytes != 5 {
					t.Errorf("%q: %v", line, err)
				}
				messages = append(messages, got.Msg)
			}
			want := []string{"totals"}
			if progress {
				want = []string{"progress", "progress", "totals"}
			}
			if !slices.Equal(messages, want) {
				t.Errorf("got %q", messages)
			}
		})
	}
}

func TestLatencyIsLoggedOnceForSoManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLatency(slog.New(slog.NewTextHandler(&out, nil)), "target", 100)
		begun := time.Now()
		for range 100 {
			time.Sleep(time.Millisecond) // 1ms, 2ms, … 100ms after begun
			l.Took(begun)
		}
		if want := "of=target requests=100 p99=99ms p95=95ms average=50.5ms"; strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), want) {
			t.Errorf("got %s", out.String())
		}
	})
	NewLatency(nil, "", 0).Took(time.Now()) // nothing happens
}

func TestTopicsOfAllLookupServicesAreKnownAlthoughOneFails(t *testing.T) {
	serve := func(topics string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"topics":[%s]}`, topics) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	source := NewSource("c")
	topics, err := Topics(context.Background(), source.HTTPClient(), []string{serve(`"b","a"`), serve(`"c","a"`), broken.URL})
	if !slices.Equal(topics, []string{"a", "b", "c"}) || err == nil || !strings.Contains(err.Error(), "answered 404") {
		t.Errorf("got %q, %v", topics, err)
	}
}
