package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeNode is an nsqd of which a test says what it answers.
type fakeNode struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string          // method, path and query of each request but /info and /stats
	broken map[string]string // answers by path, in place of the right ones
	topics map[string][]string
	counts map[string]int64 // of a topic's messages
	delay  time.Duration
}

func newFakeNode(t *testing.T, topics map[string][]string) *fakeNode {
	t.Helper()
	n := &fakeNode{topics: topics, broken: map[string]string{}, counts: map[string]int64{}}
	n.Server = httptest.NewServer(http.HandlerFunc(n.answer))
	t.Cleanup(n.Server.Close)
	return n
}

func (n *fakeNode) address() string { return strings.TrimPrefix(n.URL, "http://") }

func (n *fakeNode) port() int {
	u, _ := url.Parse(n.URL)
	port, _ := strconv.Atoi(u.Port())
	return port
}

func (n *fakeNode) answer(w http.ResponseWriter, r *http.Request) {
	time.Sleep(n.delay)
	n.mu.Lock()
	defer n.mu.Unlock()
	if text, ok := n.broken[r.URL.Path]; ok {
		io.WriteString(w, text)
		return
	}
	switch r.URL.Path {
	case "/info":
		fmt.Fprintf(w, `{"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"host","http_port":%d,"tcp_port":1}`, n.port())
	case "/stats":
		n.stats(w, r.URL.Query())
	default:
		n.asked = append(n.asked, r.Method+" "+r.URL.RequestURI())
	}
}

func (n *fakeNode) stats(w io.Writer, params url.Values) {
	topics := []any{}
	for _, name := range slices.Sorted(maps.Keys(n.topics)) {
		if topic := params.Get("topic"); topic != "" && topic != name {
			continue
		}
		channels := []any{}
		for _, channel := range n.topics[name] {
			if want := params.Get("channel"); want != "" && want != channel {
				continue
			}
			ch := map[string]any{"channel_name": channel, "depth": 5, "backend_depth": 2, "in_flight_count": 1, "message_count": n.counts[name],
				"requeue_count": 3, "timeout_count": 4, "client_count": 1}
			if params.Get("include_clients") != "false" {
				ch["clients"] = []any{map[string]any{"client_id": "c1", "hostname": "h1", "remote_address": "127.0.0.1:5", "ready_count": 9,
					"connect_ts": time.Now().Unix() - 60}}
			}
			channels = append(channels, ch)
		}
		topics = append(topics, map[string]any{"topic_name": name, "depth": 7, "backend_depth": 7, "message_count": n.counts[name], "channels": channels})
	}
	json.NewEncoder(w).Encode(map[string]any{"version": "1.3.0", "health": "OK", "start_time": 1000, "topics": topics})
}

func (n *fakeNode) names() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.topics))
}

// requests returns what was asked of the node besides /info and /stats.
func (n *fakeNode) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

// fakeLookupd lists nodes.
type fakeLookupd struct {
	*httptest.Server
	mu         sync.Mutex
	asked      []string
	nodes      []*fakeNode
	tombstones map[string]bool
	known      map[string][]string // topics that no node has
}

func newFakeLookupd(t *testing.T, nodes ...*fakeNode) *fakeLookupd {
	t.Helper()
	l := &fakeLookupd{nodes: nodes, tombstones: map[string]bool{}, known: map[string][]string{}}
	l.Server = httptest.NewServer(http.HandlerFunc(l.answer))
	t.Cleanup(l.Server.Close)
	return l
}

func (l *fakeLookupd) address() string { return strings.TrimPrefix(l.URL, "http://") }

func (l *fakeLookupd) answer(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	topic := r.URL.Query().Get("topic")
	producers, names := []any{}, slices.Collect(maps.Keys(l.known))
	for _, n := range l.nodes {
		own := n.names()
		names = append(names, own...)
		var tombstones []bool
		for _, name := range own {
			tombstones = append(tombstones, l.tombstones[name])
		}
		if slices.Contains(own, topic) || r.URL.Path == "/nodes" {
			producers = append(producers, map[string]any{"remote_address": "127.0.0.1:7", "hostname": "host", "broadcast_address": "127.0.0.1",
				"tcp_port": 1, "http_port": n.port(), "version": "1.3.0", "topics": own, "tombstones": tombstones})
		}
	}
	switch r.URL.Path {
	case "/nodes":
		json.NewEncoder(w).Encode(map[string]any{"producers": producers})
	case "/topics":
		json.NewEncoder(w).Encode(map[string]any{"topics": names})
	case "/channels":
		json.NewEncoder(w).Encode(map[string]any{"channels": l.known[topic]})
	case "/lookup":
		if !slices.Contains(names, topic) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"TOPIC_NOT_FOUND"}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"producers": producers})
	default:
		l.asked = append(l.asked, r.Method+" "+r.URL.RequestURI())
	}
}

func (l *fakeLookupd) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// newServer starts an admin page.
func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(t.Context()) })
	return s
}

// ask sends a request and decodes the JSON of the answer.
func ask(t *testing.T, s http.Handler, method, target, body string, header ...string) (int, map[string]any) {
	t.Helper()
	w := send(s, method, target, body, header...)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %d %q is not JSON: %v", method, target, w.Code, w.Body, err)
	}
	return w.Code, answer
}

func send(s http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
