package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestNodesOlderThanTheNewestAreOutOfDate(t *testing.T) {
	for _, c := range []struct{ versions, marked string }{
		{"1.2.0 1.3.0 1.3.0+weir.0.1.0", "1.2.0"},
		{"1.3.0-rc.1 1.3.0", "1.3.0-rc.1"},
		{"1.9.0 1.10.0", "1.9.0"},
		{"unknown 1.3.0", "unknown"},
		{"1.3.0 v1.3.0", ""},
		{"x y", ""},
	} {
		var nodes []*Node
		for version := range strings.FieldsSeq(c.versions) {
			nodes = append(nodes, &Node{Version: version})
		}
		markOutOfDate(nodes)
		var marked []string
		for _, n := range nodes {
			if n.OutOfDate {
				marked = append(marked, n.Version)
			}
		}
		if got := strings.Join(marked, " "); got != c.marked {
			t.Errorf("%s: marked %q, want %q", c.versions, got, c.marked)
		}
	}
}

func TestLatenciesAreWeightedByTheirMessages(t *testing.T) {
	of := func(count int, p99 float64) *Latency {
		return newLatency(&NodeLatency{count, []map[string]float64{{"quantile": 0.99, "value": p99}}}, "", "", "")
	}
	sum := newLatency(nil, "t", "", "*")
	sum.add(of(10, 100))
	sum.add(of(30, 500))
	sum.add(newLatency(nil, "", "", ""))
	p := sum.Percentiles[0]
	if sum.Count != 40 || len(sum.Percentiles) != 1 || p["min"] != 100 || p["max"] != 500 || p["average"] != 400 || p["count"] != 40 {
		t.Errorf("%+v", sum)
	}
}

// TestNodeThatTakesHTTPSOnlyIsAskedThere: nsqd answers plain HTTP with its other port.
func TestNodeThatTakesHTTPSOnlyIsAskedThere(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"version":"x"}`) }))
	defer secure.Close()
	port := secure.Listener.Addr().(*net.TCPAddr).Port
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"TLS_REQUIRED","https_port":%d}`, port)
	}))
	defer plain.Close()
	c := NewClient(Options{DialTLS: func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, network, address)
	}})
	defer c.Close()
	var info nodeInfo
	if err := c.Get(t.Context(), plain.Listener.Addr().String(), "/info", &info); err != nil || info.Version != "x" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	c := NewClient(Options{MaxAnswerBytes: 1 << 20})
	defer c.Close()
	var any map[string]any
	err := c.Get(t.Context(), endless.Listener.Addr().String(), "/stats", &any)
	if err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Error(err)
	}
}

// TestRequestsAtATimeAreBounded: a hundred nodes are not asked all at once.
func TestRequestsAtATimeAreBounded(t *testing.T) {
	var now, most atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		time.Sleep(2 * time.Millisecond)
		now.Add(-1)
	}))
	defer slow.Close()
	c := NewClient(Options{Concurrency: 8})
	defer c.Close()
	addresses := make([]string, 100)
	for i := range addresses {
		addresses[i] = slow.Listener.Addr().String()
	}
	if failures := c.postAll(t.Context(), addresses, "/topic/pause"); len(failures.Errors) > 0 || most.Load() > 8 {
		t.Errorf("%d at a time, %v", most.Load(), failures.Errors)
	}
}

func TestErrorsSayWhoAndWhat(t *testing.T) {
	c := NewClient(Options{RequestTimeout: 50 * time.Millisecond})
	defer c.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"message":"INVALID_TOPIC"}`)
	}))
	defer refusing.Close()
	for address, want := range map[string]string{
		"127.0.0.1:1":                     "127.0.0.1:1: dial: ",
		hanging.Listener.Addr().String():  "no answer to /topic/pause in time",
		refusing.Listener.Addr().String(): "/topic/pause answered 400 INVALID_TOPIC",
	} {
		err := c.Post(t.Context(), address, "/topic/pause?topic=x", nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), address) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
