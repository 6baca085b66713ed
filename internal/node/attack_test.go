package node

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedText is a log that may be read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take returns what was logged since the last time.
func (l *lockedText) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// startExposed starts a node with all of its HTTP doors open, and returns their addresses by name.
func startExposed(t testing.TB) (n *Node, doors map[string]string, log *lockedText) {
	t.Helper()
	log = &lockedText{}
	o := testOptions(t.TempDir())
	o.DiscoveryTCPAddress, o.DiscoveryHTTPAddress, o.Admin.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	n, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n, map[string]string{"node": n.HTTPAddr(), "lookup": n.LookupHTTPAddr(), "admin": n.AdminAddr()}, log
}

// exchange sends bytes and returns the answers that come until the other side closes or is silent.
func exchange(t testing.TB, address, text string, patience time.Duration) (answers []*http.Response, bodies []string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, text) // the server may close in the middle
	for in := bufio.NewReader(conn); len(answers) < 8; {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers, bodies
		}
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		answers, bodies = append(answers, answer), append(bodies, string(body))
	}
	return answers, bodies
}

// TestRequestsThatAreReadInTwoWaysAreRefused sends what proxies and servers have understood differently: where a request ends must be clear,
// or the connection ends with it. smuggled stands where a second request might be found.
func TestRequestsThatAreReadInTwoWaysAreRefused(t *testing.T) {
	n, doors, _ := startExposed(t)
	const smuggled = "POST /pub?topic=smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	for _, c := range []struct {
		name, head, body string
		status           int // of the first answer
	}{
		{"two lengths", "Content-Length: 1\r\nContent-Length: 200\r\n", smuggled, 400},
		{"two lengths in one", "Content-Length: 1, 200\r\n", smuggled, 400},
		{"a length with a sign", "Content-Length: +1\r\n", smuggled, 400},
		{"a negative length", "Content-Length: -1\r\n", smuggled, 400},
		{"an unknown coding", "Transfer-Encoding: xchunked\r\n", smuggled, 501},
		{"two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", smuggled, 501},
		{"a blank before the colon", "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n", smuggled, 400},
		{"a chunk that overflows", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n" + smuggled, 400},
		{"a NUL in a name", "X\x00Y: 1\r\nContent-Length: 0\r\n", smuggled, 400},
		{"length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunked, 200}, // the chunks hold, and the one in them is no request
	} {
		t.Run(c.name, func(t *testing.T) {
			answers, bodies := exchange(t, doors["node"], "POST /pub?topic=outer HTTP/1.1\r\nHost: x\r\n"+c.head+"\r\n"+c.body, 500*time.Millisecond)
			if len(answers) == 0 {
				t.Fatal("no answer")
			}
			if answers[0].StatusCode != c.status {
				t.Errorf("%s %q, want %d", answers[0].Status, bodies[0], c.status)
			}
			if _, ok := n.broker.Topic("smuggled"); ok {
				t.Error("what was in the body was taken for a request")
			}
		})
	}
	t.Run("a folded line", func(t *testing.T) { // it belongs to the line before, or the request is refused
		answers, _ := exchange(t, doors["node"], "POST /pub?topic=outer HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Content-Length: 200\r\nContent-Length: 1\r\n\r\nx"+smuggled, 500*time.Millisecond)
		if len(answers) == 0 || answers[0].StatusCode != 200 && answers[0].StatusCode != 400 {
			t.Errorf("%d answers", len(answers))
		}
	})
	t.Run("headers without end", func(t *testing.T) {
		for name, address := range doors {
			answers, _ := exchange(t, address, "GET /ping HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("X-Filler: "+strings.Repeat("y", 1000)+"\r\n", 100)+"\r\n", 5*time.Second)
			if len(answers) != 1 || answers[0].StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s takes 100 KB of headers: %d answers", name, len(answers))
			}
		}
	})
}

// contract are the statuses that the APIs answer with (docs/http-api.md, docs/admin.md), and those by which net/http refuses what is no request.
var contract = []int{200, 201, 204, 301, 304, 307, 308, 400, 401, 403, 404, 405, 409, 413, 414, 415, 417, 421, 429, 431, 501, 502, 503, 505}

// FuzzHTTP sends requests of any kind to all HTTP doors of a node. Each gets an answer of the contract, and no door fails by a bug.
func FuzzHTTP(f *testing.F) {
	for _, target := range []string{
		"/ping", "/info", "/stats?format=json&topic=t", "/pub?topic=t", "/pub?topic=t&defer=-1", "/mpub?topic=t&binary=true", "/mpub?topic=t", "/topic/create?topic=../../etc",
		"/topic/delete?topic=t", "/channel/create?topic=t&channel=%2e%2e", "/channel/empty?topic=t&channel=c", "/config/%2e%2e/log_level", "/config/log_level", "/metrics",
		"/v1/topics/t/messages?from=-1&limit=99999999999", "/v1/topics/%2e%2e/messages/0/0/body", "/v1/topics/t/search?text=%00", "/v1/topics/t/channels/c/messages/0/0/finish",
		"/lookup?topic=t", "/nodes", "/topic/tombstone?topic=t&node=x:1", "/api/v1/topics", "/api/v1/nodes/127.0.0.1:1/topics/t/messages", "/static/..%2f..%2fetc%2fpasswd", "//", "*",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			f.Add(byte(len(target)), method, target, []byte("\x00\x00\x00\x01\x00\x00\x00\x01x"))
		}
	}
	n, doors, log := startExposed(f)
	names := []string{"node", "lookup", "admin"}
	f.Fuzz(func(t *testing.T, door byte, method, target string, body []byte) {
		if strings.Contains(target, "debug") || method == "PUT" && strings.Contains(target, "lookup") {
			t.Skip() // profiles take long, and nobody is to be asked
		}
		name := names[int(door)%len(names)]
		request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body)
		patience := 5 * time.Second
		if strings.Contains(target, "stream") {
			patience = 100 * time.Millisecond // it has no end
		}
		answers, bodies := exchange(t, doors[name], request, patience)
		for i, answer := range answers {
			if !slices.Contains(contract, answer.StatusCode) {
				t.Errorf("%s: %q is answered %s %q", name, request, answer.Status, bodies[i])
			}
		}
		if text := log.take(); strings.Contains(text, "by a bug") || strings.Contains(text, "panic") {
			t.Errorf("%s: %q: %s", name, request, text)
		}
		for _, topic := range n.broker.Topics() { // so that the disk does not fill
			if len(n.broker.Topics()) > 20 {
				_ = n.broker.DeleteTopic(context.Background(), topic.Name()) // another run may have deleted it
			}
		}
	})
}
