package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// page reads a live stream as a browser does.
type page struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
	status int
}

func openPage(t *testing.T, base, query string, header ...string) *page {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	r, err := http.NewRequestWithContext(ctx, "GET", base+"/api/v1/stream?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 8<<20)
	return &page{t, lines, cancel, answer.StatusCode}
}

// next waits for an event of that name.
func (p *page) next(name string) map[string]any {
	p.t.Helper()
	event := ""
	for p.lines.Scan() {
		if text, ok := strings.CutPrefix(p.lines.Text(), "event: "); ok {
			event = text
		}
		text, ok := strings.CutPrefix(p.lines.Text(), "data: ")
		if !ok || event != name {
			continue
		}
		var data map[string]any
		if err := json.Unmarshal([]byte(text), &data); err != nil {
			p.t.Fatalf("event %s: %v", event, err)
		}
		return data
	}
	p.t.Fatalf("no event %s: %v", name, p.lines.Err())
	return nil
}

// startPage serves an admin page on a port.
func startPage(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := newServer(t, o)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	t.Cleanup(s.stop)
	return s, web.URL
}

func TestStreamTellsWhatIsWatchedAndThenWhatChanged(t *testing.T) {
	a, b, l := places(t)
	_, base := startPage(t, Options{Lookupds: []string{l.address()}, Interval: 20 * time.Millisecond})
	p := openPage(t, base, "watch=topics&watch=overview&watch=nodes&watch=topic:orders&watch=channel:orders:audit")
	if hello := p.next("hello"); hello["interval_ms"] != 20.0 {
		t.Errorf("hello: %v", hello)
	}
	channel := p.next("channel")
	if channel["missing"] != false || len(channel["consumers"].([]any)) != 2 || len(channel["nodes"].([]any)) != 2 {
		t.Errorf("channel: %v", channel)
	}
	if nodes := p.next("nodes"); len(nodes["nodes"].([]any)) != 2 {
		t.Errorf("nodes: %v", nodes)
	}
	if o := p.next("overview"); o["nodes_up"] != 2.0 || o["totals"].(map[string]any)["topics"] != 2.0 {
		t.Errorf("overview: %v", o)
	}

	p = openPage(t, base, "watch=topics")
	table := p.next("topics")
	if table["full"] != true || len(table["rows"].([]any)) != 2 {
		t.Errorf("topics: %v", table)
	}
	b.mu.Lock()
	b.counts["orders"] += 1000
	b.mu.Unlock()
	changed := p.next("topics")
	rows := changed["rows"].([]any)
	if changed["full"] != false || len(rows) != 1 {
		t.Fatalf("changes: %v", changed)
	}
	cells := rows[0].([]any)
	if cells[0] != "orders" || cells[8] != 1030.0 || cells[9].(float64) <= 0 {
		t.Errorf("row: %v of %v", cells, changed["columns"])
	}
	a.mu.Lock()
	delete(a.topics, "only-a")
	a.mu.Unlock()
	for gone := false; !gone; { // the rate falls to 0 in between
		table := p.next("topics")
		if table["full"] == true { // shorter than the changes
			gone = len(table["rows"].([]any)) == 1
			continue
		}
		removed := table["removed"].([]any)
		gone = len(removed) == 1 && removed[0] == "only-a"
	}
}

func TestNodeThatDiesIsShownAsDown(t *testing.T) {
	a, _, l := places(t)
	_, base := startPage(t, Options{Lookupds: []string{l.address()}, Interval: 20 * time.Millisecond})
	p := openPage(t, base, "watch=nodes")
	p.next("nodes")
	a.Server.CloseClientConnections()
	a.Server.Close()
	table := p.next("nodes")
	for len(table["warnings"].([]any)) == 0 {
		table = p.next("nodes")
	}
	down := 0
	for _, n := range table["nodes"].([]any) {
		if row := n.(map[string]any); row["up"] == false {
			down++
			if row["error"] == "" || row["node"] != fmt.Sprintf("127.0.0.1:%d", a.port()) {
				t.Errorf("down: %v", row)
			}
		}
	}
	if down != 1 {
		t.Errorf("%d nodes are down: %v", down, table)
	}
}

func TestNobodyIsAskedWhenNobodyWatches(t *testing.T) {
	a, _, l := places(t)
	s, base := startPage(t, Options{Lookupds: []string{l.address()}, Interval: 10 * time.Millisecond})
	pages := make([]*page, 20)
	for i := range pages {
		pages[i] = openPage(t, base, "watch=overview")
		pages[i].next("overview")
	}
	for _, p := range pages {
		p.cancel()
	}
	s.hub.Wait() // returns only when it runs no more
	a.mu.Lock()
	a.broken["/stats"] = "nobody should see this"
	a.mu.Unlock()
}

// TestPagesShareOneLook: the nodes are asked once in an interval, however many pages are open.
func TestPagesShareOneLook(t *testing.T) {
	a := newFakeNode(t, map[string][]string{"orders": nil})
	looks := 0
	inner := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stats" {
			a.mu.Lock()
			looks++
			a.mu.Unlock()
		}
		inner.ServeHTTP(w, r)
	})
	_, base := startPage(t, Options{Nodes: []string{a.address()}, Interval: 200 * time.Millisecond})
	begun := time.Now()
	for range 50 {
		openPage(t, base, "watch=topics&watch=overview&watch=topic:orders").next("topics")
	}
	time.Sleep(100 * time.Millisecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	if most := int(time.Since(begun)/(200*time.Millisecond)) + 2; looks > most {
		t.Errorf("50 pages made %d looks in %v", looks, time.Since(begun))
	}
}

func TestStreamsThatMakeNoSenseAreRefused(t *testing.T) {
	_, base := startPage(t, Options{Nodes: []string{"127.0.0.1:1"}})
	for _, query := range []string{"", "watch=everything", "watch=topic:", "watch=topic:a+b", "watch=channel:a", "watch=overview:x",
		"watch=topic:a&watch=topic:b&watch=topic:c&watch=topic:d&watch=topic:e&watch=topic:f&watch=topic:g&watch=topic:h&watch=topic:i"} {
		if p := openPage(t, base, query); p.status != http.StatusBadRequest {
			t.Errorf("%q: %d", query, p.status)
		}
	}
}

func TestStopSaysGoodbye(t *testing.T) {
	a := newFakeNode(t, nil)
	s, base := startPage(t, Options{Nodes: []string{a.address()}})
	p := openPage(t, base, "watch=overview")
	p.next("overview")
	s.stop()
	if bye := p.next("bye"); bye["reason"] == "" {
		t.Errorf("%v", bye)
	}
}

// TestSlowNodeHidesNothingOfTheOthers: what a page shows besides the tables is asked of each node on its own.
func TestSlowNodeHidesNothingOfTheOthers(t *testing.T) {
	_, b, l := places(t)
	b.delay = 3 * time.Second
	_, base := startPage(t, Options{Lookupds: []string{l.address()}, Interval: 20 * time.Millisecond})
	p := openPage(t, base, "watch=channel:orders:audit")
	channel := p.next("channel")
	if channel["missing"] != false || len(channel["consumers"].([]any)) != 1 || len(channel["warnings"].([]any)) != 1 {
		t.Errorf("channel: %v", channel)
	}
}

// TestOneCannotTakeAllStreams: somebody opens pages until no more are given; others still get theirs.
func TestOneCannotTakeAllStreams(t *testing.T) {
	_, _, l := places(t)
	_, base := startPage(t, Options{Lookupds: []string{l.address()}, ACLHeader: "X-User", AdminUsers: []string{"ann"}})
	refused := 0
	for range 100 {
		if p := openPage(t, base, "watch=overview", "X-User", "mallory"); p.status == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused != 36 {
		t.Errorf("of 100 streams of one user %d were refused, want 36", refused)
	}
	if p := openPage(t, base, "watch=overview", "X-User", "ann"); p.status != http.StatusOK {
		t.Errorf("another user gets %d", p.status)
	}
}
