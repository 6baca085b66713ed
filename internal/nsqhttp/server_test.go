package nsqhttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a server over a broker whose log is in memory.
type door struct {
	*Server
	t      *testing.T
	broker *broker.Broker
}

func newDoor(t *testing.T, options Options) *door {
	t.Helper()
	b, err := broker.Open(hostile.New(hostile.Benign()), broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(b, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close(context.Background())
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &door{s, t, b}
}

// do makes one request and returns status, header and body.
func (d *door) do(method, target, body string) (int, http.Header, string) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Header(), w.Body.String()
}

// must makes a request that has to succeed.
func (d *door) must(method, target, body string) string {
	d.t.Helper()
	status, _, answer := d.do(method, target, body)
	if status != http.StatusOK {
		d.t.Fatalf("%s %s: %d %s", method, target, status, answer)
	}
	return answer
}

// consumer pulls bodies.
type consumer struct {
	wakeC chan struct{}
	got   []string
}

func (c *consumer) Wake() {
	select {
	case c.wakeC <- struct{}{}:
	default:
	}
}
func (c *consumer) Gone(error) { c.Wake() }
func (c *consumer) Stats() broker.ClientStats {
	return broker.ClientStats{ClientID: "me", Version: "V2", RemoteAddress: "10.0.0.1:77"}
}
func (c *consumer) Deliver(m *broker.Message) { c.got = append(c.got, string(m.Body)) }

// consume subscribes and pulls n messages.
func (d *door) consume(topic, channel string, n int) []string {
	d.t.Helper()
	c := &consumer{wakeC: make(chan struct{}, 1)}
	sub, err := d.broker.Subscribe(context.Background(), topic, channel, c, broker.SubscribeOptions{MsgTimeout: time.Minute})
	if err != nil {
		d.t.Fatal(err)
	}
	defer sub.Close()
	sub.SetReady(n + 1)
	for deadline := time.After(5 * time.Second); len(c.got) < n; {
		pulled, err := sub.Pull(n, 1<<20, c)
		if err != nil {
			d.t.Fatal(err)
		}
		if pulled == 0 {
			select {
			case <-c.wakeC:
			case <-deadline:
				d.t.Fatalf("got only %q", c.got)
			}
		}
	}
	return c.got
}

func TestAnswersAreNsqds(t *testing.T) {
	d := newDoor(t, Options{MaxMsgSize: 10, MaxBodySize: 40})
	d.must("POST", "/topic/create?topic=t", "")
	d.must("POST", "/channel/create?topic=t&channel=c", "")
	for _, c := range []struct {
		method, target, body string
		status               int
		want                 string // of the body: the word of an error, else all of it
	}{
		{"GET", "/ping", "", 200, "OK"},
		{"GET", "/nope", "", 404, "NOT_FOUND"},
		{"OPTIONS", "/nope", "", 404, "NOT_FOUND"},
		{"POST", "/ping", "", 405, "METHOD_NOT_ALLOWED"},
		{"HEAD", "/ping", "", 405, "METHOD_NOT_ALLOWED"},
		{"POST", "/pub?topic=t", "hi", 200, "OK"},
		{"POST", "/pub?topic=t&defer=1", "hi", 200, "OK"},
		{"POST", "/pub?topic=t", "0123456789", 200, "OK"},
		{"POST", "/pub?topic=t", "0123456789a", 413, "MSG_TOO_BIG"},
		{"POST", "/pub?topic=t", "", 400, "MSG_EMPTY"},
		{"POST", "/pub", "hi", 400, "MISSING_ARG_TOPIC"},
		{"POST", "/pub?topic=%20", "hi", 400, "INVALID_TOPIC"},
		{"POST", "/pub?topic=" + strings.Repeat("x", 65), "hi", 400, "INVALID_TOPIC"},
		{"POST", "/pub?topic=t&defer=x", "hi", 400, "INVALID_DEFER"},
		{"POST", "/pub?topic=t&defer=-1", "hi", 400, "INVALID_DEFER"},
		{"POST", "/pub?topic=t&defer=3600001", "hi", 400, "INVALID_DEFER"},
		{"POST", "/pub?%zz", "hi", 400, "INVALID_REQUEST"},
		{"POST", "/mpub?topic=t", "a\n\nb", 200, "OK"},
		{"POST", "/mpub?topic=t", "\n\n", 200, "OK"},
		{"POST", "/mpub?topic=t", "a\n0123456789a\n", 413, "MSG_TOO_BIG"},
		{"POST", "/mpub?topic=t", strings.Repeat("a\n", 21), 413, "BODY_TOO_BIG"},
		{"POST", "/mpub?topic=t&binary=true", "\x00\x00\x00\x01\x00\x00\x00\x01a", 200, "OK"},
		{"POST", "/mpub?topic=t&binary=perhaps", "\x00\x00\x00\x00", 413, "BAD_BODY"},
		{"POST", "/mpub?topic=t&binary=1", "\x00\x00\x00\x01\x00\x00\x00\x00", 413, "BAD_MESSAGE"},
		{"POST", "/mpub?topic=t&binary=0", "\x00", 200, "OK"},
		{"POST", "/mpub?topic=t&binary=", "\x00\x00\x00\x00", 413, "BAD_BODY"},
		{"POST", "/mpub?topic=t&binary=False", "\x00\x00\x00\x00", 413, "BAD_BODY"},
		{"POST", "/topic/empty?topic=a$", "", 400, "INVALID_TOPIC"},
		{"POST", "/topic/create?topic=new", "", 200, ""},
		{"POST", "/topic/create", "", 400, "MISSING_ARG_TOPIC"},
		{"POST", "/topic/create?topic=%20", "", 400, "INVALID_TOPIC"},
		{"POST", "/topic/pause?topic=t", "", 200, ""},
		{"POST", "/topic/unpause?topic=t", "", 200, ""},
		{"POST", "/topic/pause?topic=zz", "", 404, "TOPIC_NOT_FOUND"},
		{"POST", "/topic/pause?topic=%20", "", 404, "TOPIC_NOT_FOUND"},
		{"POST", "/topic/empty?topic=t", "", 200, ""},
		{"POST", "/topic/empty?topic=zz", "", 404, "TOPIC_NOT_FOUND"},
		{"POST", "/topic/delete", "", 400, "MISSING_ARG_TOPIC"},
		{"POST", "/channel/create?topic=zz&channel=c", "", 404, "TOPIC_NOT_FOUND"},
		{"POST", "/channel/create?topic=%20&channel=c", "", 400, "INVALID_ARG_TOPIC"},
		{"POST", "/channel/create?topic=t", "", 400, "MISSING_ARG_CHANNEL"},
		{"POST", "/channel/create?topic=t&channel=%20", "", 400, "INVALID_ARG_CHANNEL"},
		{"POST", "/channel/pause?topic=t&channel=c", "", 200, ""},
		{"POST", "/channel/unpause?topic=t&channel=c", "", 200, ""},
		{"POST", "/channel/empty?topic=t&channel=zz", "", 404, "CHANNEL_NOT_FOUND"},
		{"POST", "/channel/empty?topic=t&channel=c", "", 200, ""},
		{"POST", "/channel/delete?topic=t&channel=c", "", 200, ""},
		{"POST", "/channel/delete?topic=t&channel=c", "", 404, "CHANNEL_NOT_FOUND"},
		{"POST", "/topic/delete?topic=t", "", 200, ""},
		{"POST", "/topic/delete?topic=t", "", 404, "TOPIC_NOT_FOUND"},
		{"GET", "/stats?%zz", "", 400, "INVALID_REQUEST"},
		{"PUT", "/debug/setblockrate?rate=0", "", 200, ""},
		{"POST", "/debug/freememory", "", 200, ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			status, header, body := d.do(c.method, c.target, c.body)
			want := c.want
			if c.status != 200 {
				want = `{"message":"` + c.want + `"}`
				if got := header.Get("Content-Type"); got != "application/json; charset=utf-8" {
					t.Errorf("Content-Type %q", got)
				}
			}
			if status != c.status || body != want {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, want)
			}
			plain := strings.HasPrefix(c.target, "/debug/") || c.target == "/ping" && status == 200
			if got := header.Get("X-NSQ-Content-Type"); got != "nsq; version=1.0" && !plain || got != "" && plain {
				t.Errorf("X-NSQ-Content-Type %q", got)
			}
		})
	}
}

func TestOtherMethodsAndSlashesAreForgivenAsInNsqd(t *testing.T) {
	d := newDoor(t, Options{})
	for _, c := range []struct {
		method, target string
		status         int
		header, want   string
	}{
		{"OPTIONS", "/pub", 200, "Allow", "OPTIONS, POST"},
		{"OPTIONS", "/ping", 200, "Allow", "GET, OPTIONS"},
		{"DELETE", "/debug/pprof/symbol", 405, "Allow", "GET, OPTIONS, POST"},
		{"GET", "/ping/", 301, "Location", "/ping"},
		{"GET", "/debug/pprof", 301, "Location", "/debug/pprof/"},
		{"POST", "/topic/create/?topic=a", 307, "Location", "/topic/create?topic=a"},
	} {
		status, header, _ := d.do(c.method, c.target, "")
		if status != c.status || header.Get(c.header) != c.want {
			t.Errorf("%s %s: got %d %s %q, want %d %q", c.method, c.target, status, c.header, header.Get(c.header), c.status, c.want)
		}
	}
}

func TestPublishedMessagesArrive(t *testing.T) {
	d := newDoor(t, Options{})
	d.must("POST", "/pub?topic=t", "one")
	d.must("POST", "/mpub?topic=t", "two\n\nthree\r\n")
	d.must("POST", "/mpub?topic=t&binary=true", "\x00\x00\x00\x02\x00\x00\x00\x04four\x00\x00\x00\x04fi\ne")
	got := d.consume("t", "c", 5)
	if want := []string{"one", "two", "three\r", "four", "fi\ne"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDeferredMessageWaits(t *testing.T) {
	d := newDoor(t, Options{})
	d.must("POST", "/topic/create?topic=t", "")
	d.must("POST", "/channel/create?topic=t&channel=c", "")
	d.must("POST", "/pub?topic=t&defer=60000", "later")
	d.must("POST", "/pub?topic=t", "now")
	if got := d.consume("t", "c", 1); got[0] != "now" {
		t.Errorf("got %q", got)
	}
	stats := d.broker.Stats("t", "c", false)
	if n := stats[0].Channels[0].Deferred; n != 1 {
		t.Errorf("%d deferred, want 1", n)
	}
}

func TestStatsHaveNsqdsShape(t *testing.T) {
	started := time.Unix(1795228451, 0)
	d := newDoor(t, Options{Version: "1.3.0", Started: started})
	d.must("POST", "/topic/create?topic=t", "")
	d.must("POST", "/channel/create?topic=t&channel=c", "")
	for _, c := range []struct{ params, want string }{
		{"", `"topics":[{"topic_name":"t","channels":[{"channel_name":"c","depth":0,"backend_depth":0,"in_flight_count":0,` +
			`"deferred_count":0,"message_count":0,"requeue_count":0,"timeout_count":0,"client_count":0,"clients":[],"paused":false,` +
			`"e2e_processing_latency":{"count":0,"percentiles":null}}],"depth":0,"backend_depth":0,"message_count":0,` +
			`"message_bytes":0,"paused":false,"e2e_processing_latency":{"count":0,"percentiles":null}}]`},
		{"&topic=zz", `"topics":null`},
		{"&topic=t&channel=zz", `"topics":[]`},
	} {
		got := d.must("GET", "/stats?format=json&include_mem=false"+c.params, "")
		want := `{"version":"1.3.0","health":"OK","start_time":1795228451,` + c.want + `,"producers":null}`
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.params, got, want)
		}
	}
	if got := d.must("GET", "/stats?format=json&include_mem=false&include_clients=false", ""); !strings.Contains(got, `"clients":null`) {
		t.Errorf("clients are described: %s", got)
	}
	var all map[string]map[string]any
	json.Unmarshal([]byte(d.must("GET", "/stats?format=json", "")), &all)
	if len(all["memory"]) != 9 {
		t.Errorf("memory is %v, want nine values", all["memory"])
	}
}

func TestStatsDescribeClientsAndProducers(t *testing.T) {
	producer := broker.ClientStats{ClientID: "p", Hostname: "h", Version: "V2", RemoteAddress: "10.0.0.2:9", PubCounts: []broker.PubCount{{Topic: "t", Count: 7}}}
	d := newDoor(t, Options{Producers: func() []broker.ClientStats { return []broker.ClientStats{producer} }})
	d.must("POST", "/pub?topic=t", "x")
	d.must("POST", "/topic/pause?topic=t", "")
	sub, err := d.broker.Subscribe(context.Background(), "t", "c", &consumer{wakeC: make(chan struct{}, 1)}, broker.SubscribeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	text := d.must("GET", "/stats", "")
	for _, part := range []string{
		"nsqd v1.3.0+weir.", "\nHealth: OK\n", "*P [t              ] depth: ", "      [c                        ] depth: ",
		"        [V2 :77                  ] state: 0 inflt: 0    rdy: 0    fin: 0        re-q: 0        msgs: 0        connected: ",
		"   [V2 h:9                  ] msgs: 7        topics: t=7 connected: ",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("lacks %q:\n%s", part, text)
		}
	}
	asJSON := d.must("GET", "/stats?format=json&topic=t", "")
	for _, part := range []string{`"client_id":"me"`, `"producers":[{"client_id":"p"`, `"pub_counts":[{"topic":"t","count":7}]`} {
		if !strings.Contains(asJSON, part) {
			t.Errorf("lacks %s:\n%s", part, asJSON)
		}
	}
	if got := d.must("GET", "/stats?format=json&topic=unknown", ""); !strings.Contains(got, `"topics":null`) || !strings.Contains(got, `"producers":null`) {
		t.Errorf("of an unknown topic: %s", got)
	}
	d.must("POST", "/topic/create?topic=other", "")
	if got := d.must("GET", "/stats?format=json&topic=other", ""); !strings.Contains(got, `"client_id":"p"`) || strings.Contains(got, "pub_counts") {
		t.Errorf("asked for another topic, a producer is listed without what it published: %s", got)
	}
}

func TestInfo(t *testing.T) {
	d := newDoor(t, Options{BroadcastAddress: "b", Hostname: "h", TCPPort: 1, HTTPPort: 2, Started: time.Unix(3, 0)})
	got := d.must("GET", "/info", "")
	want := `"broadcast_address":"b","hostname":"h","http_port":2,"tcp_port":1,"start_time":3,"max_heartbeat_interval":60000000000,` +
		`"max_output_buffer_size":65536,"max_output_buffer_timeout":30000000000,"max_deflate_level":6`
	if !strings.HasPrefix(got, `{"version":"1.3.0+weir.`) || !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestMetricsShowTopicsAndChannels(t *testing.T) {
	d := newDoor(t, Options{})
	d.must("POST", "/pub?topic=t", "four")
	d.must("POST", "/channel/create?topic=t&channel=c", "")
	text := d.must("GET", "/metrics", "")
	for _, line := range []string{
		`weir_topic_messages_total{topic="t"} 1`, `weir_topic_message_bytes_total{topic="t"} 4`, "weir_node_healthy 1",
		`weir_channel_depth_messages{channel="c",topic="t"} 1`, `weir_channel_in_flight_messages{channel="c",topic="t"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("lacks %s:\n%s", line, text)
		}
	}
}

// hangingLogs are logs on a disk that can hang: nothing proposed then is ever answered.
type hangingLogs struct {
	broker.Logs
	hangs atomic.Bool
}

type hangingLog struct {
	broker.Log
	in *hangingLogs
}

func (l *hangingLogs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := l.Logs.Open(id, m)
	return &hangingLog{log, l}, err
}

func (l *hangingLog) Propose(p *broker.Proposal) {
	if !l.in.hangs.Load() {
		l.Log.Propose(p)
	}
}

func TestPublishEndsWithTheRequest(t *testing.T) {
	logs := &hangingLogs{Logs: hostile.New(hostile.Benign())}
	b, err := broker.Open(logs, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.CreateTopic(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	logs.hangs.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest("POST", "/pub?topic=t", strings.NewReader("x")).WithContext(ctx))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "OUTCOME_UNKNOWN") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	b.Close(ctx)
}

// Clients that give up and try again while the disk stands still must not fill the memory.
func TestBodyCountsUntilItsOutcomeIsKnown(t *testing.T) {
	logs := &hangingLogs{Logs: hostile.New(hostile.Benign())}
	b, err := broker.Open(logs, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.CreateTopic(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	publish := func() int {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest("POST", "/pub?topic=t", strings.NewReader("x")).WithContext(ctx))
		return w.Code
	}
	if code := publish(); code != 200 || d.bodies.used.Load() != 0 {
		t.Errorf("committed: %d, and %d bytes are still counted", code, d.bodies.used.Load())
	}
	logs.hangs.Store(true)
	if code := publish(); code != 500 || d.bodies.used.Load() == 0 {
		t.Errorf("given up: %d, and %d bytes are counted", code, d.bodies.used.Load())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	b.Close(ctx)
}

func TestEveryBrokerErrorHasAnAnswer(t *testing.T) {
	for _, err := range []error{
		broker.ErrNotLeader, broker.ErrFull, broker.ErrUnknown, broker.ErrFailed, broker.ErrClosed,
		broker.ErrTopicNotFound, broker.ErrChannelNotFound, broker.ErrBadTopicName, broker.ErrBadChannelName,
	} {
		if translate(err) == nil {
			t.Errorf("%v has no answer", err)
		}
	}
	if got := translate(errors.New("other")); got != nil {
		t.Errorf("an unknown error is answered %v", got)
	}
}

func TestCloseRefusesAndEndsServe(t *testing.T) {
	d := newDoor(t, Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	doneC := make(chan error, 1)
	go func() { doneC <- d.Serve(ln) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+ln.Addr().String()+"/pub?topic=t", "", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "OK" {
		t.Errorf("got %s", body)
	}
	if err := d.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-doneC; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if status, _, answer := d.do("POST", "/pub?topic=t", "x"); status != 503 || !strings.Contains(answer, "EXITING") {
		t.Errorf("after Close: %d %s", status, answer)
	}
}

func TestConfigShowsSettingsAndChangesThoseThatCan(t *testing.T) {
	var level atomic.Value
	level.Store("info")
	d := newDoor(t, Options{MaxMsgSize: 10, Settings: map[string]Setting{
		"name":  {Value: func() any { return "a name" }},
		"empty": {Value: func() any { return "" }},
		"list":  {Value: func() any { return []string{} }},
		"wait":  {Value: func() any { return time.Second }},
		"level": {Value: func() any { return level.Load() }, Change: func(body []byte) error {
			if string(body) == "bad" {
				return errors.New("no such level")
			}
			level.Store(string(body))
			return nil
		}},
	}})
	for _, c := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/config/name", "", 200, "a name"},
		{"GET", "/config/empty", "", 200, ""},
		{"GET", "/config/list", "", 200, "[]"},
		{"GET", "/config/wait", "", 200, "1000000000"},
		{"GET", "/config/other", "", 400, `{"message":"INVALID_OPTION"}`},
		{"GET", "/config/", "", 404, `{"message":"NOT_FOUND"}`},
		{"GET", "/config/name/x", "", 404, `{"message":"NOT_FOUND"}`},
		{"POST", "/config/name", "", 405, `{"message":"METHOD_NOT_ALLOWED"}`},
		{"PUT", "/config/name", "x", 400, `{"message":"INVALID_OPTION"}`},
		{"PUT", "/config/other", "x", 400, `{"message":"INVALID_OPTION"}`},
		{"PUT", "/config/other", "", 413, `{"message":"INVALID_VALUE"}`},
		{"PUT", "/config/level", "01234567890", 413, `{"message":"INVALID_VALUE"}`},
		{"PUT", "/config/level", "bad", 400, `{"message":"INVALID_VALUE"}`},
		{"PUT", "/config/level", "debug", 200, "debug"},
	} {
		if status, _, answer := d.do(c.method, c.target, c.body); status != c.status || answer != c.want {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.target, status, answer, c.status, c.want)
		}
	}
}
