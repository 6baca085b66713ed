package stat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// broker answers /stats, to those who show the token, with a message count that grows by 100 each time.
func broker(t *testing.T) string {
	var messages atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/stats" || q.Get("topic") != "t" || q.Get("channel") != "c" || q.Get("format") != "json" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"topics":[{"topic_name":"t","channels":[{"channel_name":"c","depth":7,"backend_depth":3,"in_flight_count":2,
			"deferred_count":1,"requeue_count":4,"timeout_count":5,"message_count":%d,"client_count":6}]}]}`, messages.Add(100))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func testOptions(out *bytes.Buffer, nsqds ...string) Options {
	o := DefaultOptions()
	o.Topic, o.Channel, o.NSQDs, o.Out = "t", "c", nsqds, out
	o.Interval, o.Count, o.Token = 20*time.Millisecond, 2, "secret"
	return o
}

func TestCountersOfAllBrokersAreSummedUp(t *testing.T) {
	var out bytes.Buffer
	o := testOptions(&out, broker(t), broker(t))
	if err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || lines[1] != "ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients" {
		t.Fatalf("got\n%s", out.String())
	}
	if !strings.HasSuffix(lines[2], "|      14       8       6     4     2 |       8      10          400      12") {
		t.Errorf("got %q", lines[2])
	}
	var ingress, egress int64
	fmt.Sscan(lines[2], &ingress, &egress)
	if ingress < 1000 || ingress > 11000 || egress != ingress { // 200 in 20 ms or more
		t.Errorf("rates %d, %d", ingress, egress)
	}
}

func TestReportsAsJSONLines(t *testing.T) {
	var out bytes.Buffer
	o := testOptions(&out, broker(t))
	o.JSON = true
	if err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil || got["depth"] != 7.0 || got["ingress_per_second"].(float64) <= 0 {
			t.Errorf("%q: %v", line, err)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines", n)
	}
}

func TestLookupServicesNameTheBrokers(t *testing.T) {
	host, port, _ := strings.Cut(broker(t), ":")
	lookup := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/lookup" && r.URL.Query().Get("topic") == "t" {
			fmt.Fprintf(w, `{"producers":[{"broadcast_address":%q,"http_port":%s}]}`, host, port)
		}
	}))
	defer lookup.Close()
	unaware := httptest.NewServer(http.NotFoundHandler())
	defer unaware.Close()
	var out bytes.Buffer
	o := testOptions(&out)
	o.Lookupds = []string{strings.TrimPrefix(lookup.URL, "http://"), unaware.URL}
	if err := Run(context.Background(), o); err != nil || strings.Count(out.String(), "\n") != 4 {
		t.Errorf("got %v\n%s", err, out.String())
	}
}

func TestWithoutItsTokenABrokerTellsNothing(t *testing.T) {
	var out bytes.Buffer
	o := testOptions(&out, broker(t))
	o.Token = ""
	if err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "answered 401") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownChannelIsAnError(t *testing.T) {
	var out bytes.Buffer
	o := testOptions(&out, broker(t))
	o.Channel = "other"
	if err := Run(context.Background(), o); err == nil {
		t.Error("no error for a broker that answers 404")
	}
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"topics":null}`) }))
	defer empty.Close()
	o.NSQDs = []string{empty.URL}
	if err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "none of 1 brokers has channel other of topic t") {
		t.Errorf("got %v", err)
	}
}
