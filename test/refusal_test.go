//go:build process

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// usageExit is the exit code for settings that cannot be used.
const usageExit = 2

// TestBadSettingsAreRefusedInOneLine starts the binary with what it does not take: exit code 2, and a line that names the setting and
// says what is accepted.
func TestBadSettingsAreRefusedInOneLine(t *testing.T) {
	dir := t.TempDir()
	toml := func(name, text string) string {
		path := filepath.Join(dir, name+".toml")
		must(t, os.WriteFile(path, []byte(text), 0o644))
		return "--config=" + path
	}
	for _, test := range []struct {
		name string
		args []string
		env  string
		want []string // parts of the line
	}{
		{"unknown flag", []string{"serve", "--no-such-flag"}, "", []string{"no-such-flag"}},
		{"duration without unit", []string{"serve", "--msg-timeout=90"}, "", []string{"--msg-timeout", "90", "duration"}},
		{"number out of range", []string{"serve", "--max-rdy-count=-5"}, "", []string{"--max-rdy-count", "-5", "from"}},
		{"word that is not a number", []string{"serve", "--max-msg-size=big"}, "", []string{"--max-msg-size", "big"}},
		{"unknown sync policy", []string{"serve", "--sync=sometimes"}, "", []string{"--sync", "sometimes", "always"}},
		{"address without port", []string{"serve", "--tcp-address=localhost"}, "", []string{"--tcp-address", "localhost"}},
		{"unknown TOML key", []string{"serve", toml("key", "msg_timout = \"90s\"\n")}, "", []string{"msg_timout"}},
		{"TOML value of another type", []string{"serve", toml("type", "msg_timeout = true\n")}, "", []string{"msg_timeout", "duration"}},
		{"TOML that is none", []string{"serve", toml("syntax", "= = =\n")}, "", []string{"syntax.toml"}},
		{"missing TOML file", []string{"serve", "--config=" + filepath.Join(dir, "missing.toml")}, "", []string{"missing.toml"}},
		{"environment variable", []string{"serve"}, "WEIR_MSG_TIMEOUT=soon", []string{"WEIR_MSG_TIMEOUT", "soon", "duration"}},
		{"nsqd takes them the same way", []string{"nsqd", "--msg-timeout=90"}, "", []string{"--msg-timeout", "90", "duration"}},
		{"unknown subcommand", []string{"sreve"}, "", []string{"sreve", "serve"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := proc.Start(proc.Spec{Path: weirBinary, Args: test.args, Env: []string{test.env}, Dir: t.TempDir()})
			must(t, err)
			t.Cleanup(func() { p.Kill() })
			select {
			case <-p.Done():
			case <-time.After(5 * time.Second):
				t.Fatalf("the node runs:\n%s", p.Output())
			}
			out := strings.TrimSpace(p.Output())
			if code := p.ExitCode(); code != usageExit {
				t.Errorf("exit code %d, want %d", code, usageExit)
			}
			if strings.Contains(out, "\n") {
				t.Errorf("more than one line:\n%s", out)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q does not contain %q", out, want)
				}
			}
		})
	}
}

// TestDataDirectoryInUseIsRefused starts a second node on the data of a running one.
func TestDataDirectoryInUseIsRefused(t *testing.T) {
	first := startBroker(t)
	second := newBroker(t)
	second.DataPath = first.DataPath
	if _, err := second.Start(); err == nil {
		t.Fatal("two nodes run on one data directory")
	}
	code, out := second.Process().ExitCode(), second.Process().Output()
	if code <= 0 || !strings.Contains(out, first.DataPath) || !strings.Contains(out, "in use") {
		t.Errorf("exit code %d, want one above 0 and a line that names the directory as in use:\n%s", code, out)
	}
	must(t, first.Ping())
}

// TestDataOfANewerVersionIsRefused starts a node on data whose format it does not know, and finds the data untouched.
func TestDataOfANewerVersionIsRefused(t *testing.T) {
	b := startBroker(t)
	post(t, b, "/topic/create?topic=kept", nil)
	stop(t, b)
	path := filepath.Join(b.DataPath, "FORMAT")
	mine, err := os.ReadFile(path)
	must(t, err)
	newer := strings.Replace(string(mine), "format 1\n", "format 999\n", 1)
	if newer == string(mine) {
		t.Fatalf("the format file reads %q", mine)
	}
	must(t, os.WriteFile(path, []byte(newer), 0o644))
	if _, err := b.Start(); err == nil {
		t.Fatal("the node runs on data of a format that it does not know")
	}
	code, out := b.Process().ExitCode(), b.Process().Output()
	if code <= 0 || !strings.Contains(out, "999") || !strings.Contains(out, "newer") || !strings.Contains(out, b.DataPath) {
		t.Errorf("exit code %d, want one above 0 and a line that names directory and format:\n%s", code, out)
	}
	must(t, os.WriteFile(path, mine, 0o644))
	start(t, b)
	if s := topics(t, b); len(s) != 1 || s[0] != "kept" {
		t.Errorf("after the refusal the node has topics %q", s)
	}
}

// TestStockDataIsNeverIgnored starts weir nsqd in a directory in which stock nsqd has left topics: it refuses rather than begin empty.
func TestStockDataIsNeverIgnored(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "nsqd.dat"),
		[]byte(`{"topics":[{"name":"orders","paused":false,"channels":[{"name":"work","paused":false}]}],"version":"1.3.0"}`), 0o600))
	p, err := proc.Start(proc.Spec{Path: weirBinary, Args: []string{"nsqd", "--data-path", dir,
		"--tcp-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"}})
	must(t, err)
	t.Cleanup(func() { p.Kill() })
	select {
	case <-p.Done():
	case <-time.After(3 * time.Second):
		t.Fatalf("the node runs beside a stock backlog:\n%s", p.Output())
	}
	if code := p.ExitCode(); code <= 0 || !strings.Contains(p.Output(), "nsqd.dat") && !strings.Contains(p.Output(), dir) {
		t.Errorf("exit code %d, and no line that names the data:\n%s", code, p.Output())
	}
}
