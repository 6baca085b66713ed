package httpdoor

import (
	"io"
	"net/http"
	"os"
	"strings"
)

// Cmdline is /debug/pprof/cmdline: how the process was started, as net/http/pprof tells it, but without the values of settings, of which
// some are secrets (--cluster-key, addresses with a password).
func Cmdline(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, strings.Join(withoutValues(os.Args), "\x00"))
}

// withoutValues returns the arguments of a process: its name, its command, and the names of the settings given.
func withoutValues(args []string) []string {
	var shown []string
	for i, arg := range args {
		name, _, assigned := strings.Cut(arg, "=")
		switch {
		case i == 0, i == 1 && !strings.HasPrefix(arg, "-"):
			shown = append(shown, arg)
		case !strings.HasPrefix(arg, "-"):
			shown = append(shown, "…")
		case assigned:
			shown = append(shown, name+"=…")
		default:
			shown = append(shown, name)
		}
	}
	return shown
}
