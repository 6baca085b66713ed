package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/contract"
	"github.com/weirmq/weir/internal/testkit/hostile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a server over a broker whose log is in memory. Every answer is compared with docs/openapi.yaml.
type node struct {
	*Server
	t        *testing.T
	broker   *broker.Broker
	contract *contract.Contract
}

func newNode(t *testing.T, options Options) *node {
	t.Helper()
	b, err := broker.Open(hostile.New(hostile.Benign()), broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := New(b, new(Syncs), options)
	t.Cleanup(func() {
		s.Close()
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &node{s, t, b, contract.Load(t, "../../docs/openapi.yaml")}
}

// do sends a request and compares the answer with the description.
func (n *node) do(method, target, body string) (int, []byte) {
	n.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	if pattern := n.pattern(r.URL.EscapedPath()); pattern != "" {
		n.contract.Answer(n.t, method, pattern, w.Code, w.Body.Bytes())
	}
	return w.Code, w.Body.Bytes()
}

// pattern is how the description writes a path.
func (n *node) pattern(path string) string {
	parts := strings.Split(path, "/")
	for pattern := range n.mux.Patterns() {
		wants := strings.Split(pattern, "/")
		same := len(wants) == len(parts)
		for i := 0; same && i < len(wants); i++ {
			same = wants[i] == parts[i] || strings.HasPrefix(wants[i], "{")
		}
		if same {
			return pattern
		}
	}
	return ""
}

// get asks and decodes.
func get[T any](n *node, target string) (value T) {
	n.t.Helper()
	status, body := n.do("GET", target, "")
	if status != 200 {
		n.t.Fatalf("GET %s: %d %s", target, status, body)
	}
	if err := json.Unmarshal(body, &value); err != nil {
		n.t.Fatal(err)
	}
	return value
}

func (n *node) post(target, body string) []byte {
	n.t.Helper()
	status, answer := n.do("POST", target, body)
	if status != 200 {
		n.t.Fatalf("POST %s %s: %d %s", target, body, status, answer)
	}
	return answer
}

func (n *node) refused(method, target, body string, status int, word string) {
	n.t.Helper()
	got, answer := n.do(method, target, body)
	var e struct{ Error string }
	if json.Unmarshal(answer, &e) != nil || got != status || e.Error != word {
		n.t.Errorf("%s %s %s: %d %s, want %d %s", method, target, body, got, answer, status, word)
	}
}

// fill publishes messages "message 0" on.
func (n *node) fill(topic string, count int) {
	n.t.Helper()
	for i := range count {
		n.post("/v1/topics/"+topic+"/messages", fmt.Sprintf(`{"text":"message %d"}`, i))
	}
}

func (n *node) channel(topic, name string) {
	n.t.Helper()
	t, err := n.broker.CreateTopic(n.t.Context(), topic)
	if err == nil {
		_, err = t.CreateChannel(n.t.Context(), name)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// fakeClient is a consumer.
type fakeClient struct{}

func (fakeClient) Wake()      {}
func (fakeClient) Gone(error) {}
func (fakeClient) Stats() broker.ClientStats {
	return broker.ClientStats{ClientID: "c1", Hostname: "h1", RemoteAddress: "127.0.0.1:5"}
}

type taken struct{ ids []broker.MessageID }

func (k *taken) Deliver(m *broker.Message) { k.ids = append(k.ids, m.ID) }

// take puts messages in flight.
func (n *node) take(topic, channel string, count int) (*broker.Subscription, []broker.MessageID) {
	n.t.Helper()
	sub, err := n.broker.Subscribe(n.t.Context(), topic, channel, fakeClient{}, broker.SubscribeOptions{MsgTimeout: time.Minute})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(sub.Close)
	sub.SetReady(count)
	var k taken
	if _, err := sub.Pull(count, 1<<20, &k); err != nil || len(k.ids) != count {
		n.t.Fatalf("took %d of %d: %v", len(k.ids), count, err)
	}
	return sub, k.ids
}

// TestAPIIsAsDescribed asks every endpoint once at least; all tests compare what they ask.
func TestAPIIsAsDescribed(t *testing.T) {
	n := newNode(t, Options{DataPath: "/data", Space: func() (int64, int64, error) { return 100, 40, nil }})
	n.contract.Paths(t, "/v1/", n.mux.Patterns())
	n.channel("orders", "audit")
	n.fill("orders", 5)
	n.post("/v1/topics/orders/messages", `{"body":"AP8=","defer_ms":60000}`)
	n.take("orders", "audit", 1)
	for _, target := range []string{"/v1/node", "/v1/history", "/v1/history?topic=orders", "/v1/history?topic=orders&channel=audit", "/v1/cluster",
		"/v1/topics", "/v1/topics/orders", "/v1/topics/orders/channels/audit", "/v1/topics/orders/messages", "/v1/topics/orders/messages/0/2",
		"/v1/topics/orders/messages/0/2/body", "/v1/topics/orders/search?contains=message",
		"/v1/topics/orders/channels/audit/messages?state=waiting", "/v1/topics/orders/channels/audit/messages?state=in_flight",
		"/v1/topics/orders/channels/audit/messages?state=deferred"} {
		if status, body := n.do("GET", target, ""); status != 200 {
			t.Errorf("%s: %d %s", target, status, body)
		}
	}
	n.post("/v1/topics/orders/messages/0/1/republish", `{}`)
	n.post("/v1/topics/orders/channels/audit/messages/0/3/requeue", `{"delay_ms":1000}`)
	n.post("/v1/topics/orders/channels/audit/messages/0/3/finish", ``)
	n.post("/v1/topics", `{"topic":"new"}`)
	n.contract.Complete(t, "/v1/")
}

func TestBrowsingByOffsetTimeAndID(t *testing.T) {
	n := newNode(t, Options{})
	n.fill("orders", 20)
	all := get[messages](n, "/v1/topics/orders/messages?from=oldest")
	if len(all.Messages) != 20 || all.Start != 0 || all.End != 20 || all.Next != 20 || string(all.Messages[7].Body) != "message 7" {
		t.Fatalf("%+v", all)
	}
	for target, want := range map[string]int64{
		"offset=5&limit=3": 5, "limit=4": 16, "from=newest&limit=1": 19, "from=oldest&limit=1": 0, "offset=19": 19,
		"id=" + all.Messages[11].ID: 11, "time_ms=0": 0,
	} {
		got := get[messages](n, "/v1/topics/orders/messages?"+target)
		if len(got.Messages) == 0 || int64(got.Messages[0].Offset) != want {
			t.Errorf("%s: %+v", target, got)
		}
	}
	later := time.Now().Add(time.Second).UnixMilli()
	if got := get[messages](n, fmt.Sprintf("/v1/topics/orders/messages?time_ms=%d", later)); len(got.Messages) != 0 || got.Next != 20 {
		t.Errorf("the future: %+v", got)
	}
	if got := get[messages](n, "/v1/topics/orders/messages?offset=500"); len(got.Messages) != 0 {
		t.Errorf("behind the end: %+v", got)
	}
}

func TestTimeFindsTheFirstMessageFromIt(t *testing.T) {
	n := newNode(t, Options{})
	n.fill("orders", 3)
	time.Sleep(20 * time.Millisecond)
	between := time.Now().UnixMilli()
	time.Sleep(20 * time.Millisecond)
	n.fill("orders", 3)
	if got := get[messages](n, fmt.Sprintf("/v1/topics/orders/messages?time_ms=%d", between)); len(got.Messages) != 3 || got.Messages[0].Offset != 3 {
		t.Errorf("%+v", got)
	}
}

func TestLongBodiesAreCutAndThereWhole(t *testing.T) {
	n := newNode(t, Options{})
	long := bytes.Repeat([]byte("<script>\x00\xff"), 1000)
	body, _ := json.Marshal(map[string]any{"body": long})
	var at published
	if err := json.Unmarshal(n.post("/v1/topics/orders/messages", string(body)), &at); err != nil || at.Offset == nil || *at.Offset != 0 {
		t.Fatalf("%+v, %v", at, err)
	}
	one := get[message](n, "/v1/topics/orders/messages/0/0")
	if one.Size != len(long) || !one.Truncated || !bytes.Equal(one.Body, long[:4096]) || one.ID != at.ID {
		t.Errorf("size %d, truncated %v, %d bytes", one.Size, one.Truncated, len(one.Body))
	}
	if one = get[message](n, "/v1/topics/orders/messages/0/0?max_body=1048576"); one.Truncated || !bytes.Equal(one.Body, long) {
		t.Error("not whole")
	}
	if one = get[message](n, "/v1/topics/orders/messages/0/0?max_body=0"); !one.Truncated || len(one.Body) != 0 {
		t.Error("not left out")
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, httptest.NewRequest("GET", "/v1/topics/orders/messages/0/0/body", nil))
	if !bytes.Equal(w.Body.Bytes(), long) || w.Header().Get("Content-Disposition") != "attachment" || w.Header().Get("X-Content-Type-Options") != "nosniff" ||
		w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes, %v", w.Body.Len(), w.Header())
	}
}

func TestSearchIsBoundedAndGoesOn(t *testing.T) {
	n := newNode(t, Options{SearchBytes: 90})
	n.fill("orders", 30)
	n.post("/v1/topics/orders/messages", `{"text":"A NEEDLE here"}`)
	var hits []message
	rounds := 0
	for next, done := int64(0), false; !done; rounds++ {
		got := get[found](n, fmt.Sprintf("/v1/topics/orders/search?contains=needle&ignore_case=true&offset=%d", next))
		if got.Bytes > 100 || int64(got.Next) <= next {
			t.Fatalf("%+v", got)
		}
		hits, next, done = append(hits, got.Messages...), int64(got.Next), got.Done
	}
	if len(hits) != 1 || hits[0].Offset != 30 || rounds < 3 {
		t.Errorf("%d hits in %d rounds: %+v", len(hits), rounds, hits)
	}
	if got := get[found](n, "/v1/topics/orders/search?contains=needle&offset=25"); len(got.Messages) != 0 {
		t.Errorf("with its case: %+v", got)
	}
	if got := get[found](n, "/v1/topics/orders/search?contains_base64=TkVFRExF&offset=25"); len(got.Messages) != 1 {
		t.Errorf("by bytes: %+v", got)
	}
}

func TestChannelShowsWhatWaitsFliesAndIsDeferred(t *testing.T) {
	n := newNode(t, Options{})
	n.channel("orders", "audit")
	n.fill("orders", 10)
	n.post("/v1/topics/orders/messages", `{"text":"later","defer_ms":3600000}`)
	sub, ids := n.take("orders", "audit", 3)
	if err := sub.Requeue(ids[2], time.Hour); err != nil {
		t.Fatal(err)
	}
	base := "/v1/topics/orders/channels/audit/messages?state="
	flying := get[heldMessages](n, base+"in_flight")
	if flying.Total != 2 || len(flying.Messages) != 2 || flying.Messages[0].Consumer.ClientID != "c1" || flying.Messages[0].Attempts != 1 {
		t.Errorf("in flight: %+v", flying)
	}
	if in := time.Until(time.UnixMilli(flying.Messages[0].Deadline)); in < 50*time.Second || in > time.Minute {
		t.Errorf("deadline in %v", in)
	}
	deferred := get[heldMessages](n, base+"deferred")
	if deferred.Total != 2 || len(deferred.Messages) != 2 || deferred.Messages[0].Due == 0 {
		t.Errorf("deferred: %+v", deferred)
	}
	var waiting []message
	for next := ""; ; {
		got := get[heldMessages](n, base+"waiting&limit=3&after="+next)
		for _, m := range got.Messages {
			waiting = append(waiting, m.message)
		}
		if next = got.Next; next == "" {
			break
		}
	}
	if len(waiting) != 7 || waiting[0].Offset != 3 || string(waiting[6].Body) != "message 9" {
		t.Errorf("waiting: %+v", waiting)
	}
}

func TestFinishAndRequeueOneMessageWhereverItIs(t *testing.T) {
	n := newNode(t, Options{})
	n.channel("orders", "audit")
	n.fill("orders", 6)
	sub, ids := n.take("orders", "audit", 2) // 0 and 1
	base := "/v1/topics/orders/channels/audit/messages/0/"
	n.post(base+"0/finish", "")                      // in flight
	n.post(base+"4/finish", "")                      // waiting
	n.post(base+"1/requeue", `{"delay_ms":3600000}`) // in flight
	n.post(base+"5/requeue", `{"delay_ms":3600000}`) // waiting
	n.post(base+"1/requeue", ``)                     // deferred: due now
	n.refused("POST", base+"0/finish", "", 409, "NOT_UNFINISHED")
	n.refused("POST", base+"4/finish", "", 409, "NOT_UNFINISHED")
	n.refused("POST", base+"99/requeue", "", 409, "NOT_UNFINISHED")
	failures := 0
	sub.Finish(ids, func(int, error) { failures++ })
	if failures != 2 {
		t.Errorf("the consumer could finish what was taken from it: %d failures", failures)
	}
	sub.SetReady(10)
	var k taken
	if _, err := sub.Pull(10, 1<<20, &k); err != nil {
		t.Fatal(err)
	}
	top, _ := n.broker.Topic("orders")
	var got []int64
	for i := range k.ids {
		_, offset, _ := top.Locate(string(k.ids[i][:]))
		got = append(got, int64(offset))
	}
	if fmt.Sprint(got) != "[1 2 3]" && fmt.Sprint(got) != "[2 1 3]" {
		t.Errorf("delivered %v, want 1, 2, 3", got)
	}
}

func TestRepublishCopiesAMessage(t *testing.T) {
	n := newNode(t, Options{})
	n.fill("orders", 2)
	n.post("/v1/topics/orders/messages/0/1/republish", `{"topic":"retry"}`)
	if got := get[messages](n, "/v1/topics/retry/messages"); len(got.Messages) != 1 || string(got.Messages[0].Body) != "message 1" {
		t.Errorf("%+v", got)
	}
	n.post("/v1/topics/orders/messages/0/0/republish", `{"defer_ms":5000}`)
	if got := get[messages](n, "/v1/topics/orders/messages?offset=2"); len(got.Messages) != 1 || got.Messages[0].Due == 0 {
		t.Errorf("%+v", got)
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	n := newNode(t, Options{MaxMsgSize: 100})
	n.channel("orders", "audit")
	n.fill("orders", 1)
	for _, c := range []struct {
		method, target, body string
		status               int
		word                 string
	}{
		{"GET", "/v1/topics/none", "", 404, "TOPIC_NOT_FOUND"},
		{"GET", "/v1/topics/orders/channels/none", "", 404, "CHANNEL_NOT_FOUND"},
		{"GET", "/v1/topics/orders/channels/none/messages?state=waiting", "", 404, "CHANNEL_NOT_FOUND"},
		{"GET", "/v1/history?topic=none", "", 404, "TOPIC_NOT_FOUND"},
		{"GET", "/v1/history?topic=orders&channel=none", "", 404, "CHANNEL_NOT_FOUND"},
		{"GET", "/v1/topics/orders/messages?partition=7", "", 404, "NO_PARTITION"},
		{"GET", "/v1/topics/orders/messages?partition=-1", "", 400, "INVALID_PARTITION"},
		{"GET", "/v1/topics/orders/messages?limit=0", "", 400, "INVALID_LIMIT"},
		{"GET", "/v1/topics/orders/messages?limit=501", "", 400, "INVALID_LIMIT"},
		{"GET", "/v1/topics/orders/messages?max_body=2000000", "", 400, "INVALID_MAX_BODY"},
		{"GET", "/v1/topics/orders/messages?offset=x", "", 400, "INVALID_OFFSET"},
		{"GET", "/v1/topics/orders/messages?from=middle", "", 400, "INVALID_FROM"},
		{"GET", "/v1/topics/orders/messages?id=zz", "", 400, "INVALID_ID"},
		{"GET", "/v1/topics/orders/messages/0/9", "", 404, "NO_MESSAGE"},
		{"GET", "/v1/topics/orders/messages/0/-1", "", 400, "INVALID_OFFSET"},
		{"GET", "/v1/topics/orders/messages/x/1", "", 400, "INVALID_PARTITION"},
		{"GET", "/v1/topics/orders/search", "", 400, "INVALID_CONTAINS"},
		{"GET", "/v1/topics/orders/search?contains_base64=!", "", 400, "INVALID_CONTAINS_BASE64"},
		{"GET", "/v1/topics/orders/search?contains=x&ignore_case=maybe", "", 400, "INVALID_IGNORE_CASE"},
		{"GET", "/v1/topics/orders/channels/audit/messages", "", 400, "INVALID_STATE"},
		{"GET", "/v1/topics/orders/channels/audit/messages?state=waiting&after=x", "", 400, "INVALID_AFTER"},
		{"POST", "/v1/topics/orders/messages", `{}`, 400, "MSG_EMPTY"},
		{"POST", "/v1/topics/orders/messages", `{"text":1}`, 400, "INVALID_BODY"},
		{"POST", "/v1/topics/orders/messages", `{"text":"x","defer_ms":-1}`, 400, "INVALID_DEFER"},
		{"POST", "/v1/topics/orders/messages", `{"text":"` + strings.Repeat("x", 101) + `"}`, 413, "MSG_TOO_BIG"},
		{"POST", "/v1/topics/a%20b/messages", `{"text":"x"}`, 400, "INVALID_TOPIC"},
		{"POST", "/v1/topics/orders/messages/0/0/republish", `{"topic":"a b"}`, 400, "INVALID_TOPIC"},
		{"POST", "/v1/topics/orders/channels/audit/messages/0/0/requeue", `{"delay_ms":-1}`, 400, "INVALID_DELAY"},
		{"GET", "/v1/nothing", "", 404, "NOT_FOUND"},
		{"DELETE", "/v1/topics/orders", "", 405, "METHOD_NOT_ALLOWED"},
	} {
		if c.status == 405 { // not described
			w := httptest.NewRecorder()
			n.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
			if w.Code != 405 {
				t.Errorf("%s %s: %d", c.method, c.target, w.Code)
			}
			continue
		}
		n.refused(c.method, c.target, c.body, c.status, c.word)
	}
}

func TestActionsFromOtherSitesAreRefused(t *testing.T) {
	n := newNode(t, Options{})
	r := httptest.NewRequest("POST", "/v1/topics/orders/messages", strings.NewReader(`{"text":"x"}`))
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	if _, exists := n.broker.Topic("orders"); w.Code != http.StatusForbidden || exists {
		t.Errorf("%d, published: %v", w.Code, exists)
	}
}

func TestReadersAreBounded(t *testing.T) {
	n := newNode(t, Options{Readers: 1})
	n.fill("orders", 1)
	n.readC <- struct{}{}
	n.refused("GET", "/v1/topics/orders/messages", "", 503, "BUSY")
	<-n.readC
	get[messages](n, "/v1/topics/orders/messages")
}

func TestHistoryCountsWhatWasDone(t *testing.T) {
	n := newNode(t, Options{NodeStep: time.Hour, Step: time.Hour}) // sampled by hand
	n.channel("orders", "audit")
	sampled := func() bool {
		n.history.mu.Lock()
		defer n.history.mu.Unlock()
		return n.history.mu.step == 1
	}
	for !sampled() { // the one at the start
		time.Sleep(time.Millisecond)
	}
	now := time.Now()
	n.takeSample(now)
	n.fill("orders", 50)
	n.syncs.Observe(3 * time.Millisecond)
	now = now.Add(10 * time.Second)
	n.options.Step, n.options.NodeStep = 10*time.Second, 10*time.Second
	n.takeSample(now)
	sub, ids := n.take("orders", "audit", 20)
	sub.Finish(ids, func(int, error) { t.Error("not finished") })
	n.takeSample(now.Add(10 * time.Second))
	node := get[hour](n, "/v1/history")
	last := func(list []*float64) string {
		text := ""
		for _, v := range list[len(list)-3:] {
			if v == nil {
				text += "- "
			} else {
				text += fmt.Sprint(*v, " ")
			}
		}
		return text
	}
	if len(node.In) != nodePoints || last(node.In) != "0 5 0 " || last(node.Out) != "0 0 2 " || last(node.Depth) != "0 50 30 " {
		t.Errorf("in %s, out %s, depth %s", last(node.In), last(node.Out), last(node.Depth))
	}
	channel := get[hour](n, "/v1/history?topic=orders&channel=audit")
	if len(channel.In) != points || last(channel.Out) != "- - 2 " || len(channel.SyncP99) != 0 {
		t.Errorf("channel: out %s", last(channel.Out))
	}
	summary := get[struct{ Topics []topicSummary }](n, "/v1/topics")
	if summary.Topics[0].Channels[0].Rates.Out != 2 {
		t.Errorf("rates: %+v", summary.Topics[0])
	}
}

// TestHistoryIsBounded: an hour, and so many topics.
func TestHistoryIsBounded(t *testing.T) {
	r := ring{most: 3}
	for i := int64(1); i < 20; i++ {
		r.add(i, figures{depth: i}, 1)
	}
	var depths []float32
	r.each(func(p *point) { depths = append(depths, p.depth) })
	if fmt.Sprint(depths) != "[17 18 19]" || r.newest().depth != 19 {
		t.Errorf("%v", depths)
	}
	n := newNode(t, Options{MaxSeries: 5})
	for i := range 10 {
		if _, err := n.broker.CreateTopic(t.Context(), fmt.Sprintf("t%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	n.takeSample(time.Now().Add(time.Hour))
	if len(n.history.mu.series) != 5 {
		t.Errorf("%d series", len(n.history.mu.series))
	}
	if err := n.broker.DeleteTopic(t.Context(), "t0"); err != nil {
		t.Fatal(err)
	}
	n.takeSample(time.Now().Add(2 * time.Hour))
	if n.history.mu.series[key{"t0", ""}] != nil {
		t.Error("a deleted topic is remembered")
	}
}

func TestSyncLatencyIsThatOfTheLastMinute(t *testing.T) {
	var s Syncs
	now := time.Unix(1e9, 0)
	for range 98 {
		s.observe(now, time.Millisecond)
	}
	s.observe(now, 100*time.Millisecond)
	s.observe(now, 100*time.Millisecond)
	l := s.latency(now, time.Minute)
	if l.Count != 100 || l.P50 < 1 || l.P50 > 1.5 || l.P99 < 70 || l.Max != 100 {
		t.Errorf("%+v", l)
	}
	if l = s.latency(now.Add(2*time.Minute), time.Minute); l.Count != 0 || l.Max != 0 {
		t.Errorf("two minutes later: %+v", l)
	}
	s.observe(now, -1)
	s.observe(now, time.Duration(1)<<62)
}

func TestDiskIsFullWhenItsPaceSays(t *testing.T) {
	o := Options{NodeStep: time.Second}
	r := newRecorder(&o)
	for i := int64(1); i <= 11; i++ {
		r.mu.node.add(i, figures{diskFree: 1000 - 10*i}, 1)
	}
	if in := r.fullIn(); in == nil || *in != 89 {
		t.Errorf("%v", in)
	}
	for i := int64(12); i <= 80; i++ {
		r.mu.node.add(i, figures{diskFree: 2000}, 1)
	}
	if in := r.fullIn(); in != nil {
		t.Errorf("full in %d although it does not fill", *in)
	}
}
