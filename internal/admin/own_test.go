package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/admin/access"
)

const readersToken = "readerstoken-readerstoken"

func tokens(t *testing.T) access.Tokens {
	t.Helper()
	list, err := access.ParseTokens(strings.NewReader("ann admin annstoken-annstoken\nbob read " + readersToken))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// weirNode makes a fake node answer the node API: every path with what was asked.
func weirNode(n *fakeNode) {
	inner := n.Config.Handler
	n.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/") {
			inner.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"asked": r.Method + " " + r.URL.RequestURI(), "body": string(body)})
	})
}

func TestLoginIsNeededForEverythingButThePage(t *testing.T) {
	_, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}, Tokens: tokens(t)})
	for _, target := range []string{"/api/topics", "/api/nodes", "/api/topics/orders", "/api/counter", "/api/graphite", "/api/v1/stream?watch=overview",
		"/api/v1/overview", "/api/v1/topics", "/api/v1/nodes", "/api/v1/history", "/api/v1/lookup", "/api/v1/nodes/h:1/node", "/config/base_path"} {
		if w := send(s, "GET", target, ""); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "LOGIN_REQUIRED") {
			t.Errorf("GET %s: %d %s", target, w.Code, w.Body)
		}
	}
	for _, target := range []string{"/api/topics", "/api/topics/orders", "/api/v1/publish", "/api/v1/nodes/h:1/topics/x/messages"} {
		if w := send(s, "POST", target, "{}"); w.Code != http.StatusUnauthorized {
			t.Errorf("POST %s: %d %s", target, w.Code, w.Body)
		}
	}
	for _, target := range []string{"/", "/topics", "/ping", "/api/v1/session"} {
		if w := send(s, "GET", target, ""); w.Code != 200 {
			t.Errorf("GET %s: %d", target, w.Code)
		}
	}
}

func TestLoggingInGivesASession(t *testing.T) {
	a, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}, Tokens: tokens(t)})
	if code, answer := ask(t, s, "POST", "/api/v1/login", `{"token":"wrong"}`); code != 403 || answer["error"] != "BAD_TOKEN" {
		t.Errorf("%d %v", code, answer)
	}
	w := send(s, "POST", "/api/v1/login", `{"token":"annstoken-annstoken"}`)
	var session struct {
		User, Role, CSRF string
		Can              struct{ Act, Bodies bool }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &session); err != nil || w.Code != 200 || session.User != "ann" || !session.Can.Act || session.CSRF == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	if code, answer := ask(t, s, "POST", "/api/topics/orders", `{"action":"pause"}`, "Cookie", cookie); code != 403 || answer["error"] != "CSRF" {
		t.Errorf("without the CSRF token: %d %v", code, answer)
	}
	if len(a.requests()) > 0 {
		t.Errorf("asked %q", a.requests())
	}
	if code, _ := ask(t, s, "POST", "/api/topics/orders", `{"action":"pause"}`, "Cookie", cookie, "X-CSRF-Token", session.CSRF); code != 200 {
		t.Errorf("with it: %d", code)
	}
	if code, _ := ask(t, s, "GET", "/api/topics", "", "Cookie", cookie); code != 200 {
		t.Errorf("reading: %d", code)
	}
	send(s, "POST", "/api/v1/logout", "", "Cookie", cookie, "X-CSRF-Token", session.CSRF)
	if code, _ := ask(t, s, "GET", "/api/topics", "", "Cookie", cookie); code != 401 {
		t.Errorf("after logging out: %d", code)
	}
}

func TestRelayPassesOnWhatMayBeSeen(t *testing.T) {
	a, _, l := places(t)
	weirNode(a)
	s := newServer(t, Options{Lookupds: []string{l.address()}, Tokens: tokens(t)})
	node := fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/", a.port())
	admin := []string{"Authorization", "Bearer annstoken-annstoken"}
	reader := []string{"Authorization", "Bearer " + readersToken}
	for _, c := range []struct {
		method, path string
		who          []string
		status       int
		want         string // asked of the node, or the error
	}{
		{"GET", "node", reader, 200, "GET /v1/node"},
		{"GET", "topics/a%23ephemeral?x=1&y=%20", reader, 200, "GET /v1/topics/a%23ephemeral?x=1&y=%20"},
		{"GET", "topics/../messages", admin, 200, "GET /v1/topics/../messages"},
		{"GET", "topics/orders/messages", reader, 403, "BODIES_FORBIDDEN"},
		{"GET", "topics/orders/messages/0/5/body", reader, 403, "BODIES_FORBIDDEN"},
		{"GET", "topics/orders/search?contains=x", reader, 403, "BODIES_FORBIDDEN"},
		{"GET", "topics/orders/channels/audit/messages", reader, 403, "BODIES_FORBIDDEN"},
		{"GET", "topics/orders/channels/audit", reader, 200, "GET /v1/topics/orders/channels/audit"},
		{"GET", "topics/orders/messages", admin, 200, "GET /v1/topics/orders/messages"},
		{"POST", "topics/orders/messages", reader, 403, "FORBIDDEN"},
		{"POST", "topics/orders/channels/audit/messages/0/5/finish", admin, 200, "POST /v1/topics/orders/channels/audit/messages/0/5/finish"},
	} {
		code, answer := ask(t, s, c.method, node+c.path, "{}", c.who...)
		if code != c.status || answer["asked"] != c.want && answer["error"] != c.want {
			t.Errorf("%s %s: %d %v", c.method, c.path, code, answer)
		}
	}
}

// TestRelayLeadsOnlyToNodes: the page must not fetch what its user names.
func TestRelayLeadsOnlyToNodes(t *testing.T) {
	secret := newFakeNode(t, nil)
	weirNode(secret)
	a, b, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	if code, answer := ask(t, s, "GET", fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/node", secret.port()), ""); code != 404 || answer["error"] != "NODE_NOT_FOUND" {
		t.Errorf("%d %v", code, answer)
	}
	a.broken["/v1/node"] = "<script>alert(1)</script>"
	w := send(s, "GET", fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/node", a.port()), "")
	if w.Code != http.StatusBadGateway || strings.Contains(w.Body.String(), "script") {
		t.Errorf("a page from a node: %d %s", w.Code, w.Body)
	}
	if w := send(s, "GET", fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/node", b.port()), ""); w.Code != http.StatusBadGateway {
		t.Errorf("a stock node: %d %s", w.Code, w.Body)
	}
}

func TestPublishGoesToANodeThatHasTheTopic(t *testing.T) {
	a, b, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	for _, body := range []string{`{"topic":"only-a","text":"hi"}`, `{"topic":"only-a","body":"aGk=","defer_ms":50}`, `{"topic":"only-a","text":"hi","count":3}`} {
		if code, answer := ask(t, s, "POST", "/api/v1/publish", body); code != 200 || answer["node"] != fmt.Sprintf("127.0.0.1:%d", a.port()) {
			t.Errorf("%s: %d %v", body, code, answer)
		}
	}
	if want := []string{"POST /pub?topic=only-a", "POST /pub?topic=only-a&defer=50", "POST /mpub?binary=true&topic=only-a"}; !slices.Equal(a.requests(), want) {
		t.Errorf("asked %q", a.requests())
	}
	send(s, "POST", "/api/v1/publish", fmt.Sprintf(`{"topic":"new","text":"x","node":"127.0.0.1:%d"}`, b.port()))
	if !slices.Equal(b.requests(), []string{"POST /pub?topic=new"}) {
		t.Errorf("asked %q", b.requests())
	}
	for body, word := range map[string]string{
		`{"topic":"a b","text":"x"}`: "INVALID_TOPIC", `{"topic":"a"}`: "MSG_EMPTY", `{"topic":"a","text":"x","count":0}`: "INVALID_COUNT",
		`{"topic":"a","text":"x","defer_ms":-1}`: "INVALID_DEFER", `{"topic":"a","text":"x","node":"no:1"}`: "NODE_NOT_FOUND", `{"x":1}`: "INVALID_BODY",
	} {
		if _, answer := ask(t, s, "POST", "/api/v1/publish", body); answer["error"] != word {
			t.Errorf("%s: %v", body, answer)
		}
	}
}

func TestHistoryIsSummedOverNodesByTime(t *testing.T) {
	a, b, l := places(t)
	a.broken["/v1/history"] = `{"end_ms":100000,"step_ms":5000,"in":[1,2,null],"out":[],"requeued":[],"timed_out":[],"depth":[1,1,1],"in_flight":[],"deferred":[]}`
	b.broken["/v1/history"] = `{"end_ms":95200,"step_ms":5000,"in":[10,20,30],"out":[],"requeued":[],"timed_out":[],"depth":[5,5,5],"in_flight":[],"deferred":[]}`
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	_, answer := ask(t, s, "GET", "/api/v1/history", "")
	first := fmt.Sprint(answer["in"]) == "[21 32]" && fmt.Sprint(answer["depth"]) == "[6 6]" // a's last point is not b's yet
	second := fmt.Sprint(answer["in"]) == "[10 21 32]" && answer["end_ms"] == 95200.0        // b's steps, if it comes first
	if !first && !second {
		t.Errorf("%v", answer)
	}
	b.broken["/v1/history"] = `{"step_ms":0}`
	_, answer = ask(t, s, "GET", "/api/v1/history", "")
	if len(answer["warnings"].([]any)) != 1 || fmt.Sprint(answer["in"]) != "[1 2 <nil>]" {
		t.Errorf("a node that lies: %v", answer)
	}
	_, answer = ask(t, s, "GET", fmt.Sprintf("/api/v1/history?node=127.0.0.1:%d", a.port()), "")
	if fmt.Sprint(answer["in"]) != "[1 2 <nil>]" {
		t.Errorf("one node: %v", answer)
	}
}

func TestLookupListsWhatNobodyProduces(t *testing.T) {
	_, _, l := places(t)
	l.known["gone"] = []string{"old"}
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	_, answer := ask(t, s, "GET", "/api/v1/lookup", "")
	if fmt.Sprint(answer["topics"]) != "[map[channels:[old] topic:gone]]" || len(answer["lookupds"].([]any)) != 1 {
		t.Errorf("%v", answer)
	}
}

// TestOpenPageOnLoopbackRefusesForeignNames: a site can give its own name our address (DNS rebinding), and its scripts are then of the same
// origin as the page; where nobody logs in, the name is what tells them apart.
func TestOpenPageOnLoopbackRefusesForeignNames(t *testing.T) {
	_, _, l := places(t)
	for _, c := range []struct {
		host, local string
		tokens      bool
		want        int
	}{
		{"evil.example.com:4171", "127.0.0.1:4171", false, 403},
		{"evil.example.com", "[::1]:4171", false, 403},
		{"127.0.0.1.evil.example.com:4171", "127.0.0.1:4171", false, 403},
		{"127.0.0.1:4171", "127.0.0.1:4171", false, 200},
		{"[::1]:4171", "[::1]:4171", false, 200},
		{"localhost:4171", "127.0.0.1:4171", false, 200},
		{"weir.localhost", "127.0.0.1:4171", false, 200},
		{"admin", "127.0.0.1:4171", false, 200},
		{"Queue.Example.com", "127.0.0.1:4171", false, 200}, // as set up
		{"evil.example.com:4171", "10.0.0.7:4171", false, 200},
		{"evil.example.com:4171", "127.0.0.1:4171", true, 200}, // the cookie is not sent to that name
	} {
		o := Options{Lookupds: []string{l.address()}, Hosts: []string{"queue.example.com"}}
		if c.tokens {
			o.Tokens = tokens(t)
		}
		s := newServer(t, o)
		for _, method := range []string{"GET", "POST"} {
			r := httptest.NewRequest(method, "/api/v1/session", nil)
			if method == "POST" {
				r = httptest.NewRequest(method, "/api/v1/logout", nil)
			}
			r.Host = c.host
			local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.local))
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.want || c.want == 403 && !strings.Contains(w.Body.String(), "FOREIGN_HOST") {
				t.Errorf("%s %s at %s: %d %s", method, c.host, c.local, w.Code, w.Body)
			}
		}
	}
}

// TestRelayLeavesNoWayOutOfTheNodeAPI: a reader without the right to bodies must not come to them, or to a profile of the heap, by dots that
// the node, or a proxy before it, would follow.
func TestRelayLeavesNoWayOutOfTheNodeAPI(t *testing.T) {
	a, _, l := places(t)
	weirNode(a)
	s := newServer(t, Options{Lookupds: []string{l.address()}, Tokens: tokens(t)})
	for _, path := range []string{"x/%2e%2e/topics/orders/messages", "..%2fdebug%2fpprof%2fheap", "%2e%2e/stats", "topics//orders/messages", "topics/./orders/messages"} {
		w := send(s, "GET", fmt.Sprintf("/api/v1/nodes/127.0.0.1:%d/%s", a.port(), path), "", "Authorization", "Bearer "+readersToken)
		if w.Code == 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestNodeTokenIsForNodes: graphite may be anybody's.
func TestNodeTokenIsForNodes(t *testing.T) {
	_, _, l := places(t)
	seenC := make(chan string, 1)
	graphite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seenC <- r.Header.Get("Authorization")
		io.WriteString(w, "[]")
	}))
	defer graphite.Close()
	s := newServer(t, Options{Lookupds: []string{l.address()}, GraphiteURL: graphite.URL, NodeToken: "nodes-secret-nodes-secret"})
	if w := send(s, "GET", "/api/graphite?metric=rate&target=x", ""); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	if got := <-seenC; got != "" {
		t.Errorf("graphite got %q", got)
	}
}

// TestNodeTokenIsNotForWhoeverRegisters: anybody may register with a lookup service and say that it is a node. What it then gets are questions,
// not the token that opens the others.
func TestNodeTokenIsNotForWhoeverRegisters(t *testing.T) {
	const token = "nodes-secret-nodes-secret"
	for _, c := range []struct {
		name    string
		options func(*Options, string)
		gets    bool
	}{
		{"registered", func(*Options, string) {}, false},
		{"registered, and others are trusted", func(o *Options, _ string) { o.TokenHosts = []string{"10.1.2.3", "node1"} }, false},
		{"registered at a host that is trusted", func(o *Options, _ string) { o.TokenHosts = []string{"127.0.0.1"} }, true},
		{"registered, and all are trusted", func(o *Options, _ string) { o.TokenHosts = []string{"*"} }, true},
		{"named", func(o *Options, address string) { o.Nodes = []string{address} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, l := places(t)
			var shown, asked atomic.Bool
			answer := a.Server.Config.Handler
			a.Server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Store(true)
				if strings.Contains(r.Header.Get("Authorization"), token) {
					shown.Store(true)
				}
				answer.ServeHTTP(w, r)
			})
			o := Options{Lookupds: []string{l.address()}, NodeToken: token}
			c.options(&o, a.address())
			s := newServer(t, o)
			if w := send(s, "GET", "/api/v1/nodes", ""); w.Code != 200 {
				t.Fatal(w.Code, w.Body)
			}
			if !asked.Load() {
				t.Fatal("the node was not asked: nothing is tested")
			}
			if shown.Load() != c.gets {
				t.Errorf("the token was shown: %v, want %v", shown.Load(), c.gets)
			}
		})
	}
}
