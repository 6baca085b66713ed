package admin

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/contract"
)

// TestAPIIsAsDescribed compares paths both ways, and an answer of each endpoint and event, with docs/openapi.yaml.
func TestAPIIsAsDescribed(t *testing.T) {
	a, _, l := places(t)
	weirNode(a)
	a.broken["/v1/history"] = `{"end_ms":100000,"step_ms":5000,"in":[1,2,null],"out":[],"requeued":[],"timed_out":[],"depth":[],"in_flight":[],"deferred":[]}`
	l.known["gone"] = []string{"old"}
	l.tombstones["only-a"] = true
	s, base := startPage(t, Options{Lookupds: []string{l.address()}, Tokens: tokens(t), Interval: 20 * time.Millisecond})
	c := contract.Load(t, "../../docs/openapi.yaml")
	c.Paths(t, "/api/v1/", s.mux.Patterns())
	ann := []string{"Authorization", "Bearer annstoken-annstoken"}
	for _, x := range []struct{ method, pattern, target, body string }{
		{"GET", "/api/v1/session", "/api/v1/session", ""},
		{"POST", "/api/v1/login", "/api/v1/login", `{"token":"annstoken-annstoken"}`},
		{"POST", "/api/v1/logout", "/api/v1/logout", ""},
		{"GET", "/api/v1/overview", "/api/v1/overview", ""},
		{"GET", "/api/v1/topics", "/api/v1/topics", ""},
		{"GET", "/api/v1/nodes", "/api/v1/nodes", ""},
		{"GET", "/api/v1/cluster", "/api/v1/cluster", ""},
		{"GET", "/api/v1/history", "/api/v1/history", ""},
		{"GET", "/api/v1/lookup", "/api/v1/lookup", ""},
		{"POST", "/api/v1/publish", "/api/v1/publish", `{"topic":"orders","text":"x"}`},
		{"GET", "/api/v1/nodes/{node}/{path}", fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/node", a.port()), ""},
		{"POST", "/api/v1/nodes/{node}/{path}", fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/topics/x/messages", a.port()), "{}"},
	} {
		w := send(s, x.method, x.target, x.body, ann...)
		if w.Code != 200 {
			t.Errorf("%s %s: %d %s", x.method, x.target, w.Code, w.Body)
		}
		c.Answer(t, x.method, x.pattern, w.Code, w.Body.Bytes())
		if x.pattern != "/api/v1/session" && x.pattern != "/api/v1/login" && x.pattern != "/api/v1/logout" {
			w = send(s, x.method, x.target, x.body)
			c.Answer(t, x.method, x.pattern, w.Code, w.Body.Bytes())
			if w.Code != 401 {
				t.Errorf("%s %s by nobody: %d", x.method, x.target, w.Code)
			}
		}
	}
	p := openPage(t, base, "watch=topics&watch=overview&watch=nodes&watch=topic:orders&watch=topic:none&watch=channel:orders:audit&watch=channel:a:b", ann...)
	c.Answer(t, "GET", "/api/v1/stream", p.status, nil)
	for range 7 { // in the order of their names
		name, data := p.any()
		c.Schema(t, map[string]string{"topics": "TopicTable", "overview": "Overview", "nodes": "Nodes", "topic": "TopicEvent", "channel": "ChannelEvent"}[name], data)
	}
	c.Complete(t, "/api/v1/")
}

// any returns the next event but hello.
func (p *page) any() (name string, data []byte) {
	p.t.Helper()
	for p.lines.Scan() {
		text := p.lines.Text()
		if len(text) > 7 && text[:7] == "event: " {
			name = text[7:]
		}
		if len(text) > 6 && text[:6] == "data: " && name != "hello" {
			if !json.Valid([]byte(text[6:])) {
				p.t.Fatalf("event %s is not JSON: %s", name, text)
			}
			return name, []byte(text[6:])
		}
	}
	p.t.Fatalf("no event: %v", p.lines.Err())
	return "", nil
}
