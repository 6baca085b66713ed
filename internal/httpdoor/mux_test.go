package httpdoor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestMuxTakesPathsAsTheyAre(t *testing.T) {
	m := &Mux{Fail: func(w http.ResponseWriter, err *Error) { http.Error(w, err.Word, err.Status) }}
	tell := func(names ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, name := range names {
				fmt.Fprintf(w, "%s=%s;", name, r.PathValue(name))
			}
		}
	}
	m.Handle("/", Get(tell()))
	m.Handle("/topics", Get(tell()))
	m.Handle("/topics/{topic}", Methods{"GET": tell("topic"), "DELETE": tell("topic")})
	m.Handle("/topics/{topic}/messages", Get(tell("topic")))
	m.Handle("/nodes/{node}/{rest...}", Get(tell("node", "rest")))
	for _, c := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"GET", "/", 200, ""},
		{"GET", "/topics", 200, ""},
		{"GET", "/topics/orders", 200, "topic=orders;"},
		{"HEAD", "/topics/orders", 200, "topic=orders;"},
		{"GET", "/topics/%2E%2e/messages", 200, "topic=..;"},
		{"GET", "/topics/../messages", 200, "topic=..;"},
		{"GET", "/topics/x%23ephemeral", 200, "topic=x#ephemeral;"},
		{"GET", "/topics/a%2Fb", 200, "topic=a/b;"},
		{"GET", "/nodes/h:1/topics/x/messages", 200, "node=h:1;rest=topics/x/messages;"},
		{"GET", "/nodes/h:1", 404, "NOT_FOUND\n"},
		{"GET", "/topics/", 404, "NOT_FOUND\n"},
		{"GET", "/topics/x/y", 404, "NOT_FOUND\n"},
		{"POST", "/topics/x", 405, "METHOD_NOT_ALLOWED\n"},
		{"OPTIONS", "/topics/x", 200, ""},
	} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.target, w.Code, w.Body, c.status, c.body)
		}
		if c.status == 405 && w.Header().Get("Allow") != "DELETE, GET, OPTIONS" {
			t.Errorf("Allow: %s", w.Header().Get("Allow"))
		}
	}
}
