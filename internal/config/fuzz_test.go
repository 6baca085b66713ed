package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/testkit/bounded"
)

// FuzzSettingsFile reads files of settings that say anything: they are taken, or refused with one line.
func FuzzSettingsFile(f *testing.F) {
	for _, text := range []string{"msg_timeout = \"90s\"\n", "sync = 7", "join = [\"a\", \"b:1\"]", "[table]\nx = 1", "max_msg_size = -1", "a = 1e999999999",
		"nsqlookupd_tcp_addresses = \"a,b\"", "x = \"\\u0000", "0=0b\n\n", "d = 1979-05-27T07:32:00Z", strings.Repeat("[", 1000)} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "weir.toml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "file") || strings.Contains(string(text), "tls") {
			t.Skip() // the settings of files may name any
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Memory(t, len(text)+10_000, func() { // the settings themselves take some
			var usage *UsageError
			if err := Serve(&Node{}).Parse([]string{"--config=" + path}, environment(nil)); err != nil && errors.As(err, &usage) && strings.Contains(usage.Problem, "\n") {
				t.Errorf("more than a line: %q", usage.Problem)
			}
		})
	})
}
