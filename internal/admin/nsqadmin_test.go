package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// places starts two nodes and the lookup service that lists them.
func places(t *testing.T) (a, b *fakeNode, l *fakeLookupd) {
	a = newFakeNode(t, map[string][]string{"orders": {"audit", "mail"}, "only-a": nil})
	b = newFakeNode(t, map[string][]string{"orders": {"audit"}})
	a.counts["orders"], b.counts["orders"] = 10, 20
	return a, b, newFakeLookupd(t, a, b)
}

func TestFiguresOfAllNodesAreAddedUp(t *testing.T) {
	a, b, l := places(t)
	for name, o := range map[string]Options{
		"lookup": {Lookupds: []string{l.address()}}, "nodes": {Nodes: []string{a.address(), b.address()}},
		"both": {Lookupds: []string{l.address()}, Nodes: []string{a.address()}},
	} {
		s := newServer(t, o)
		_, topic := ask(t, s, "GET", "/api/topics/orders", "")
		if topic["depth"] != 14.0 || topic["message_count"] != 30.0 || len(topic["nodes"].([]any)) != 2 || topic["message"] != "" {
			t.Errorf("%s: topic: %v", name, topic)
		}
		channels := topic["channels"].([]any)
		audit := channels[0].(map[string]any)
		if len(channels) != 2 || audit["channel_name"] != "audit" || audit["depth"] != 10.0 || audit["memory_depth"] != 6.0 {
			t.Errorf("%s: channels: %v", name, channels)
		}
		_, channel := ask(t, s, "GET", "/api/topics/orders/audit", "")
		if channel["depth"] != 10.0 || channel["requeue_count"] != 6.0 || len(channel["clients"].([]any)) != 2 {
			t.Errorf("%s: channel: %v", name, channel)
		}
		_, names := ask(t, s, "GET", "/api/topics", "")
		if !reflect.DeepEqual(names["topics"], []any{"only-a", "orders"}) {
			t.Errorf("%s: topics: %v", name, names)
		}
		_, nodes := ask(t, s, "GET", "/api/nodes", "")
		if len(nodes["nodes"].([]any)) != 2 {
			t.Errorf("%s: nodes: %v", name, nodes)
		}
		_, node := ask(t, s, "GET", fmt.Sprintf("/api/nodes/127.0.0.1:%d", a.port()), "")
		if node["total_messages"] != 10.0 || node["total_clients"] != 2.0 {
			t.Errorf("%s: node: %v", name, node)
		}
		_, counter := ask(t, s, "GET", "/api/counter", "")
		key := fmt.Sprintf("orders:audit:127.0.0.1:%d", b.port())
		if got := counter["stats"].(map[string]any)[key]; got == nil || got.(map[string]any)["message_count"] != 20.0 {
			t.Errorf("%s: counter: %v", name, counter)
		}
	}
}

// TestBrokenNodesAreAWarning: whatever one node does, the answer has what the other says, within the time that a request may take.
func TestBrokenNodesAreAWarning(t *testing.T) {
	for name, breakIt := range map[string]func(*fakeNode){
		"down":      func(n *fakeNode) { n.Server.CloseClientConnections(); n.Server.Close() },
		"slow":      func(n *fakeNode) { n.delay = time.Second },
		"no JSON":   func(n *fakeNode) { n.broken["/stats"] = "<html>" },
		"half":      func(n *fakeNode) { n.broken["/stats"] = `{"topics":[{"topic_name":"orders"` },
		"other":     func(n *fakeNode) { n.broken["/stats"] = `{"topics":"many"}` },
		"wrong":     func(n *fakeNode) { n.broken["/stats"] = `{"topics":[{"topic_name":"orders","depth":"deep"}]}` },
		"deep JSON": func(n *fakeNode) { n.broken["/stats"] = strings.Repeat("[", 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, l := places(t)
			breakIt(a)
			s := newServer(t, Options{Lookupds: []string{l.address()}, RequestTimeout: 500 * time.Millisecond})
			for target, want := range map[string]func(map[string]any) bool{
				"/api/topics/orders":       func(m map[string]any) bool { return m["message_count"] == 20.0 },
				"/api/topics/orders/audit": func(m map[string]any) bool { return m["message_count"] == 20.0 },
				"/api/counter":             func(m map[string]any) bool { return len(m["stats"].(map[string]any)) == 1 },
				"/api/nodes":               func(m map[string]any) bool { return len(m["nodes"].([]any)) == 2 },
			} {
				begun := time.Now()
				code, answer := ask(t, s, "GET", target, "")
				warned := strings.HasPrefix(fmt.Sprint(answer["message"]), "WARNING: ") && strings.Contains(fmt.Sprint(answer["message"]), a.address())
				if code != 200 || !want(answer) || !warned && target != "/api/nodes" {
					t.Errorf("%s: %d %v", target, code, answer)
				}
				if took := time.Since(begun); took > 1500*time.Millisecond {
					t.Errorf("%s took %v", target, took)
				}
			}
			_ = b
		})
	}
}

// TestLyingNodesCannotNameWhatIsNoName: names go into addresses and logs.
func TestLyingNodesCannotNameWhatIsNoName(t *testing.T) {
	a := newFakeNode(t, map[string][]string{"orders": {"audit"}, "<script>alert(1)</script>": {"x"}, "a b": nil})
	s := newServer(t, Options{Nodes: []string{a.address()}})
	for _, target := range []string{"/api/topics", "/api/nodes", "/api/counter", "/api/nodes/" + fmt.Sprintf("127.0.0.1:%d", a.port())} {
		if w := send(s, "GET", target, ""); w.Code != 200 || strings.Contains(w.Body.String(), "script") || strings.Contains(w.Body.String(), "a b") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	a.broken["/stats"] = `{"topics":null}`
	if code, answer := ask(t, s, "GET", "/api/topics", ""); code != 200 || len(answer["topics"].([]any)) != 0 {
		t.Errorf("topics null: %d %v", code, answer)
	}
	l := newFakeLookupd(t)
	l.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"producers":[{"broadcast_address":"","http_port":1},{"broadcast_address":"h","http_port":99999999},`+
			`{"broadcast_address":"h","http_port":5,"topics":["a","<b>"],"tombstones":[]},null],"topics":["<i>","a"]}`)
	})
	s = newServer(t, Options{Lookupds: []string{l.address()}, ConnectTimeout: 100 * time.Millisecond, RequestTimeout: 200 * time.Millisecond})
	if _, answer := ask(t, s, "GET", "/api/nodes", ""); len(answer["nodes"].([]any)) != 1 {
		t.Errorf("nodes: %v", answer)
	}
}

func TestNobodyAnsweringIsAnUpstreamError(t *testing.T) {
	s := newServer(t, Options{Lookupds: []string{"127.0.0.1:1"}})
	for _, target := range []string{"/api/topics", "/api/nodes", "/api/topics/orders", "/api/counter"} {
		code, answer := ask(t, s, "GET", target, "")
		if code != http.StatusBadGateway || !strings.HasPrefix(fmt.Sprint(answer["message"]), "UPSTREAM_ERROR: 127.0.0.1:1") {
			t.Errorf("%s: %d %v", target, code, answer)
		}
	}
}

func TestUnknownTopicsChannelsAndNodesAreNotFound(t *testing.T) {
	_, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	for target, word := range map[string]string{
		"/api/topics/none": "TOPIC_NOT_FOUND", "/api/topics/orders/none": "CHANNEL_NOT_FOUND", "/api/nodes/none:1": "NODE_NOT_FOUND", "/api/none": "NOT_FOUND",
	} {
		if code, answer := ask(t, s, "GET", target, ""); code != 404 || answer["message"] != word {
			t.Errorf("%s: %d %v", target, code, answer)
		}
	}
}

func TestInactiveTopicsAreThoseNobodyProduces(t *testing.T) {
	_, _, l := places(t)
	l.known["gone"] = []string{"old"}
	l.tombstones["only-a"] = true
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	_, answer := ask(t, s, "GET", "/api/topics?inactive=true", "")
	topics := answer["topics"].(map[string]any)
	if len(topics) != 2 || !reflect.DeepEqual(topics["gone"], []any{"old"}) || topics["only-a"] == nil {
		t.Errorf("%v", answer)
	}
}

func TestActionsReachEveryNodeThatHasTheTopic(t *testing.T) {
	for _, c := range []struct {
		method, target, body string
		onA, onB, onLookup   []string
	}{
		{"POST", "/api/topics", `{"topic":"new"}`, nil, nil, []string{"POST /topic/create?topic=new"}},
		{"POST", "/api/topics", `{"topic":"only-a","channel":"c"}`, []string{"POST /channel/create?topic=only-a&channel=c"}, nil,
			[]string{"POST /topic/create?topic=only-a", "POST /channel/create?topic=only-a&channel=c"}},
		{"POST", "/api/topics/orders", `{"action":"pause"}`, []string{"POST /topic/pause?topic=orders"}, []string{"POST /topic/pause?topic=orders"}, nil},
		{"POST", "/api/topics/only-a", `{"action":"empty"}`, []string{"POST /topic/empty?topic=only-a"}, nil, nil},
		{"POST", "/api/topics/orders/audit", `{"action":"unpause"}`, []string{"POST /channel/unpause?topic=orders&channel=audit"},
			[]string{"POST /channel/unpause?topic=orders&channel=audit"}, nil},
		{"DELETE", "/api/topics/only-a", ``, []string{"POST /topic/delete?topic=only-a"}, nil, []string{"POST /topic/delete?topic=only-a"}},
		{"DELETE", "/api/topics/orders/mail", ``, []string{"POST /channel/delete?topic=orders&channel=mail"},
			[]string{"POST /channel/delete?topic=orders&channel=mail"}, []string{"POST /channel/delete?topic=orders&channel=mail"}},
	} {
		a, b, l := places(t)
		s := newServer(t, Options{Lookupds: []string{l.address()}})
		code, answer := ask(t, s, c.method, c.target, c.body)
		if code != 200 || answer["message"] != "" {
			t.Errorf("%s %s: %d %v", c.method, c.target, code, answer)
		}
		if !slices.Equal(a.requests(), c.onA) || !slices.Equal(b.requests(), c.onB) || !slices.Equal(l.requests(), c.onLookup) {
			t.Errorf("%s %s: asked %q, %q, lookup %q", c.method, c.target, a.requests(), b.requests(), l.requests())
		}
	}
}

func TestTombstoneHidesATopicOfOneNode(t *testing.T) {
	a, b, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	node := fmt.Sprintf("127.0.0.1:%d", a.port())
	if code, answer := ask(t, s, "DELETE", "/api/nodes/"+node, `{"topic":"orders"}`); code != 200 || answer["message"] != "" {
		t.Errorf("%d %v", code, answer)
	}
	if !slices.Equal(l.requests(), []string{"POST /topic/tombstone?topic=orders&node=" + strings.ReplaceAll(node, ":", "%3A")}) ||
		!slices.Equal(a.requests(), []string{"POST /topic/delete?topic=orders"}) || len(b.requests()) > 0 {
		t.Errorf("lookup %q, a %q, b %q", l.requests(), a.requests(), b.requests())
	}
}

func TestActionsThatMakeNoSenseAreRefused(t *testing.T) {
	_, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	for _, c := range []struct{ method, target, body, word string }{
		{"POST", "/api/topics", `{"topic":"a b"}`, "INVALID_TOPIC"},
		{"POST", "/api/topics", `{"topic":"a","channel":"b c"}`, "INVALID_CHANNEL"},
		{"POST", "/api/topics", `{`, "INVALID_BODY"},
		{"POST", "/api/topics/orders", `{"action":"explode"}`, "INVALID_ACTION"},
		{"POST", "/api/topics/orders", ``, "INVALID_ACTION"},
		{"DELETE", "/api/topics/a%20b", ``, "INVALID_TOPIC"},
		{"DELETE", "/api/nodes/h:1", `{"topic":""}`, "INVALID_TOPIC"},
		{"DELETE", "/api/nodes/h:1", `[`, "INVALID_BODY"},
	} {
		if code, answer := ask(t, s, c.method, c.target, c.body); code != 400 || answer["message"] != c.word {
			t.Errorf("%s %s %s: %d %v, want %s", c.method, c.target, c.body, code, answer, c.word)
		}
	}
	if len(l.requests()) > 0 {
		t.Errorf("asked %q", l.requests())
	}
}

func TestOnlyAdministratorsAct(t *testing.T) {
	a, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}, AdminUsers: []string{"ann"}})
	for _, c := range []struct{ method, target string }{
		{"POST", "/api/topics"}, {"POST", "/api/topics/orders"}, {"DELETE", "/api/topics/orders"}, {"POST", "/api/topics/orders/audit"},
		{"DELETE", "/api/topics/orders/audit"}, {"DELETE", "/api/nodes/h:1"}, {"PUT", "/config/log_level"},
	} {
		if code, answer := ask(t, s, c.method, c.target, `{"action":"pause"}`, "X-Forwarded-User", "bob"); code != 403 || answer["message"] != "FORBIDDEN" {
			t.Errorf("%s %s: %d %v", c.method, c.target, code, answer)
		}
	}
	if len(a.requests())+len(l.requests()) > 0 {
		t.Error("a refused action was done")
	}
	if code, _ := ask(t, s, "POST", "/api/topics/orders", `{"action":"pause"}`, "X-Forwarded-User", "ann"); code != 200 {
		t.Errorf("the administrator: %d", code)
	}
	if code, _ := ask(t, s, "GET", "/api/topics", "", "X-Forwarded-User", "bob"); code != 200 {
		t.Errorf("reading: %d", code)
	}
}

func TestActionsFromOtherSitesAreRefused(t *testing.T) {
	a, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}})
	code, answer := ask(t, s, "DELETE", "/api/topics/orders", "", "Origin", "http://evil.example")
	if code != 403 || answer["error"] != "CROSS_ORIGIN" || len(a.requests()) > 0 {
		t.Errorf("%d %v, %q", code, answer, a.requests())
	}
}

func TestNotificationsTellWhatWasDone(t *testing.T) {
	toldC := make(chan map[string]any, 8)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told map[string]any
		json.NewDecoder(r.Body).Decode(&told)
		toldC <- told
	}))
	defer endpoint.Close()
	_, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}, NotificationEndpoint: endpoint.URL})
	send(s, "POST", "/api/topics", `{"topic":"new","channel":"c"}`, "Authorization", "Basic YW5uOng=", "User-Agent", "script")
	first, second := <-toldC, <-toldC
	if first["action"] != "create_topic" || first["topic"] != "new" || first["user"] != "ann" || first["user_agent"] != "script" ||
		first["url"] != "http://example.com/api/topics" || first["via"] == "" || first["timestamp"] == 0.0 {
		t.Errorf("%v", first)
	}
	if second["action"] != "create_channel" || second["channel"] != "c" {
		t.Errorf("%v", second)
	}
}

// TestNotificationEndpointThatIsDownHarmsNobody: nsqadmin panics.
func TestNotificationEndpointThatIsDownHarmsNobody(t *testing.T) {
	_, _, l := places(t)
	s := newServer(t, Options{Lookupds: []string{l.address()}, NotificationEndpoint: "http://127.0.0.1:1/"})
	for range 3 {
		if code, _ := ask(t, s, "POST", "/api/topics", `{"topic":"new"}`); code != 200 {
			t.Error(code)
		}
	}
}

func TestGraphiteRate(t *testing.T) {
	answers := map[string]string{"a": `[{"datapoints":[[120,1]]}]`, "none": `[]`, "null": `[{"datapoints":[[null,1]]}]`, "down": `[{"datapoints":[[-5,1]]}]`}
	graphite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/graphite/render" || r.URL.Query().Get("from") != "-120sec" {
			t.Errorf("asked %s", r.URL)
		}
		io.WriteString(w, answers[r.URL.Query().Get("target")])
	}))
	defer graphite.Close()
	s := newServer(t, Options{Nodes: []string{"127.0.0.1:1"}, GraphiteURL: graphite.URL + "/graphite/"})
	for target, want := range map[string]string{"a": "2.00", "none": "N/A", "null": "N/A", "down": "N/A"} {
		if _, answer := ask(t, s, "GET", "/api/graphite?metric=rate&target="+target, ""); answer["rate"] != want {
			t.Errorf("%s: %v", target, answer)
		}
	}
	if code, answer := ask(t, s, "GET", "/api/graphite?metric=x", ""); code != 400 || answer["message"] != "INVALID_ARG_METRIC" {
		t.Errorf("%d %v", code, answer)
	}
	if code, answer := ask(t, s, "GET", "/api/graphite?metric=rate", ""); code != 400 || answer["message"] != "INVALID_ARG_TARGET" {
		t.Errorf("%d %v", code, answer)
	}
}

func TestGraphiteProxyHidesWhoAsks(t *testing.T) {
	graphite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %q %q", r.URL.RequestURI(), r.Header.Get("Cookie"), r.Header.Get("Authorization"))
	}))
	defer graphite.Close()
	s := newServer(t, Options{Nodes: []string{"127.0.0.1:1"}, GraphiteURL: graphite.URL, ProxyGraphite: true})
	if got := send(s, "GET", "/render?target=x", "", "Cookie", "a=b", "Authorization", "Basic x").Body.String(); got != `/render?target=x "" ""` {
		t.Errorf("%s", got)
	}
}

func TestConfigCanBeReadAndChangedFromWhereItMay(t *testing.T) {
	_, _, l := places(t)
	level := "info"
	s := newServer(t, Options{Lookupds: []string{l.address()}, AllowConfigFrom: netip.MustParsePrefix("192.0.2.0/24"),
		Settings: map[string]Setting{"base_path": {Value: func() any { return "/" }}, "log_level": {Value: func() any { return level },
			Change: func(v []byte) error { level = string(v); return nil }}}})
	for _, c := range []struct {
		method, option, body string
		status               int
		want                 string
	}{
		{"GET", "base_path", "", 200, "/"},
		{"GET", "nsqlookupd_http_addresses", "", 200, `["` + l.address() + `"]`},
		{"PUT", "nsqlookupd_http_addresses", `["127.0.0.1:1"]`, 200, `["127.0.0.1:1"]`},
		{"PUT", "nsqlookupd_http_addresses", `[]`, 400, `{"message":"INVALID_VALUE"}`},
		{"PUT", "nsqlookupd_http_addresses", `x`, 400, `{"message":"INVALID_VALUE"}`},
		{"PUT", "nsqlookupd_http_addresses", ``, 413, `{"message":"INVALID_VALUE"}`},
		{"PUT", "log_level", `debug`, 200, `debug`},
		{"PUT", "base_path", `x`, 400, `{"message":"INVALID_OPTION"}`},
		{"GET", "nothing", "", 400, `{"message":"INVALID_OPTION"}`},
	} {
		if w := send(s, c.method, "/config/"+c.option, c.body); w.Code != c.status || w.Body.String() != c.want {
			t.Errorf("%s %s %s: %d %s", c.method, c.option, c.body, w.Code, w.Body)
		}
	}
	s = newServer(t, Options{Lookupds: []string{l.address()}, AllowConfigFrom: netip.MustParsePrefix("10.0.0.0/8")})
	if w := send(s, "GET", "/config/nsqlookupd_http_addresses", ""); w.Code != 403 {
		t.Errorf("from elsewhere: %d", w.Code)
	}
}
