package tools

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestOptionsReachGoNSQ(t *testing.T) {
	cfg, err := NewConfig("nsq_to_file", []string{"max_in_flight,17", "msg_timeout,2m", "snappy"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.MaxInFlight != 17 || cfg.MsgTimeout != 2*time.Minute || !cfg.Snappy {
		t.Errorf("got %+v", cfg)
	}
	if cfg.MaxAttempts != 0 {
		t.Errorf("a message is given up after %d attempts although nobody asked for that", cfg.MaxAttempts)
	}
	if !strings.HasPrefix(cfg.UserAgent, "nsq_to_file/1.3.0 go-nsq/") {
		t.Errorf("user agent %q", cfg.UserAgent)
	}
}

func TestOptionsThatGoNSQDoesNotTakeAreErrors(t *testing.T) {
	for _, option := range []string{"no_such_option,1", "max_in_flight,many", "sample_rate,100"} {
		if _, err := NewConfig("to_nsq", []string{option}); err == nil {
			t.Errorf("%s is accepted", option)
		}
	}
}

func TestLinesOfGoNSQKeepTheirLevel(t *testing.T) {
	for line, want := range map[string]string{
		"ERR    1 (127.0.0.1:4150) error connecting": "level=ERROR msg=go-nsq line=\"1 (127.0.0.1:4150) error connecting\"",
		"WRN    1 [t/c] backing off":                 "level=WARN",
		"INF    1 [t/c] connecting":                  "level=DEBUG",
		"":                                           "level=DEBUG",
	} {
		var out bytes.Buffer
		l := Log{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		if err := l.Output(2, line); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q: got %q, %v", line, out.String(), err)
		}
	}
}
