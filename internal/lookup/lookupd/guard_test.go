package lookupd

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/weirmq/weir/internal/auth"
)

func TestChangesByHTTPNeedAToken(t *testing.T) {
	s := startServer(t, Options{Guard: &auth.Guard{Own: "the token", Logger: slog.New(slog.DiscardHandler)}})
	for _, c := range []struct {
		method, path string
		open         bool // to those without a token
	}{
		{"GET", "/ping", true},
		{"GET", "/info", true},
		{"GET", "/topics", true},
		{"GET", "/channels?topic=t", true},
		{"GET", "/nodes", true},
		{"GET", "/debug", false},
		{"GET", "/debug/pprof", false},
		{"POST", "/topic/create?topic=t", false},
		{"POST", "/channel/create?topic=t&channel=c", false},
		{"POST", "/topic/tombstone?topic=t&node=a:1", false},
		{"POST", "/channel/delete?topic=t&channel=c", false},
		{"POST", "/topic/delete?topic=t", false},
	} {
		for token, want := range map[string]int{"": http.StatusUnauthorized, "another": http.StatusUnauthorized, "the token": http.StatusOK} {
			if c.open {
				want = http.StatusOK
			}
			r, err := http.NewRequest(c.method, "http://"+s.HTTPAddr()+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s %s with token %q: %s, want %d", c.method, c.path, token, resp.Status, want)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
