package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample is a command with one setting of each kind.
type sample struct {
	text   string
	word   string
	on     bool
	count  int
	wait   time.Duration
	size   int64
	topics []string
}

func newSample() (*sample, *Set) {
	v := &sample{text: "here", word: "info", count: 5, wait: time.Minute, size: 1 << 20}
	s := NewSet("weir sample")
	s.File()
	s.String(&v.text, "data-path", "DIR", "where")
	s.OneOf(&v.word, "log-level", []string{"debug", "info"}, "what to log")
	s.Bool(&v.on, "verbose", "more")
	s.Int(&v.count, "max-rdy-count", 1, 100, "most")
	s.Duration(&v.wait, "msg-timeout", time.Second, time.Hour, "how long")
	s.Size(&v.size, "max-msg-size", 1, 1<<30, "how big")
	s.List(&v.topics, "topic", "TOPIC", "which")
	s.alias("topic", "topics")
	return v, s
}

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagWinsOverEnvironmentAndEnvironmentOverFile(t *testing.T) {
	path := writeFile(t, "data_path = \"file\"\nlog_level = \"debug\"\nmax_rdy_count = 7\ntopics = [\"a\", \"b\"]\nverbose = true\n")
	v, s := newSample()
	err := s.Parse([]string{"-data-path=flag", "--max-msg-size", "2MiB"},
		environment(map[string]string{"WEIR_CONFIG": path, "WEIR_DATA_PATH": "env", "WEIR_MAX_RDY_COUNT": "6"}))
	if err != nil {
		t.Fatal(err)
	}
	want := &sample{text: "flag", word: "debug", on: true, count: 6, wait: time.Minute, size: 2 << 20, topics: []string{"a", "b"}}
	if !reflect.DeepEqual(v, want) {
		t.Fatalf("got %+v, want %+v", v, want)
	}
}

func TestListAccumulatesWithinOnePlaceOnly(t *testing.T) {
	v, s := newSample()
	err := s.Parse([]string{"--topic=a", "--topic=b"}, environment(map[string]string{"WEIR_TOPIC": "c,d"}))
	if err != nil || !reflect.DeepEqual(v.topics, []string{"a", "b"}) {
		t.Fatalf("got %v, %v", v.topics, err)
	}
	v, s = newSample()
	err = s.Parse(nil, environment(map[string]string{"WEIR_TOPIC": "c,d"}))
	if err != nil || !reflect.DeepEqual(v.topics, []string{"c", "d"}) {
		t.Fatalf("got %v, %v", v.topics, err)
	}
}

func TestWhatCannotBeUsedIsOneLineThatNamesPlaceAndChoices(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		file string
		want []string // parts of the message
	}{
		{"unknown flag", []string{"--nonsense"}, nil, "", []string{"weir sample: --nonsense is unknown", "--data-path", "--topic"}},
		{"no value", []string{"--msg-timeout"}, nil, "", []string{"--msg-timeout needs a value", "a duration from 1s to 1h"}},
		{"bad duration", []string{"--msg-timeout=soon"}, nil, "", []string{`--msg-timeout does not take "soon"`, "a duration from 1s to 1h"}},
		{"duration out of range", []string{"-msg-timeout", "2h"}, nil, "", []string{`--msg-timeout does not take "2h"`}},
		{"bad number", []string{"--max-rdy-count=101"}, nil, "", []string{"a whole number from 1 to 100"}},
		{"bad size", []string{"--max-msg-size=1XB"}, nil, "", []string{"a size from 1 to 1GiB"}},
		{"huge size", []string{"--max-msg-size=9999999TiB"}, nil, "", []string{"a size from 1 to 1GiB"}},
		{"bad word", []string{"--log-level=loud"}, nil, "", []string{"one of debug, info"}},
		{"bad boolean", []string{"--verbose=perhaps"}, nil, "", []string{"true or false"}},
		{"stray argument", []string{"--verbose", "stray"}, nil, "", []string{`argument "stray" is not expected`}},
		{"bad variable", nil, map[string]string{"WEIR_MAX_RDY_COUNT": "x"}, "", []string{`WEIR_MAX_RDY_COUNT does not take "x"`, "a whole number"}},
		{"unknown key", nil, nil, "datapath = \"x\"\n", []string{"key datapath in", "is unknown", "data_path", "topics"}},
		{"bad key value", nil, nil, "max_rdy_count = 0\n", []string{"max_rdy_count in", `does not take "0"`}},
		{"table for a value", nil, nil, "[data_path]\nx = 1\n", []string{"data_path in", "does not take"}},
		{"array for a value", nil, nil, "max_rdy_count = [1]\n", []string{"takes no array"}},
		{"not TOML", nil, nil, "data_path = \n", []string{"line 1", "is not TOML"}},
		{"no such file", []string{"--config=/does/not/exist.toml"}, nil, "", []string{"--config cannot be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, s := newSample()
			args := c.args
			if c.file != "" {
				args = append(args, "--config="+writeFile(t, c.file))
			}
			err := s.Parse(args, environment(c.env))
			var usage *UsageError
			if !errors.As(err, &usage) {
				t.Fatalf("got %v, want a UsageError", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q lacks %q", err, part)
				}
			}
		})
	}
}

func TestHelpIsAskedForNotRefused(t *testing.T) {
	_, s := newSample()
	if err := s.Parse([]string{"-h"}, environment(nil)); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("got %v", err)
	}
	var b strings.Builder
	s.Help(&b)
	for _, part := range []string{"--data-path=DIR", "(default here)", "(default 1m)", "(default 1MiB)"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("help lacks %q:\n%s", part, b.String())
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "1K": 1 << 10, "1KiB": 1 << 10, "3MiB": 3 << 20, "2g": 2 << 30, "1TiB": 1 << 40,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "K", "1.5M", "-1", "1iK", "1KK", "1 M", "99999999999999999999", "8388608TiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}
