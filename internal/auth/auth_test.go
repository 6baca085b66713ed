package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/bounded"
	"github.com/weirmq/weir/internal/testkit/testcert"
	"github.com/weirmq/weir/internal/tlsconf"
)

const secret = "s3cret &=? of a client"

// answering serves one answer.
func answering(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func grantsJSON(ttl int, authorizations string) string {
	return fmt.Sprintf(`{"ttl":%d,"identity":"me","identity_url":"http://me","authorizations":[%s]}`, ttl, authorizations)
}

const everything = `{"topic":".*","channels":[".*"],"permissions":["publish","subscribe"]}`

func newAuthority(t *testing.T, o AuthorityOptions) *Authority {
	t.Helper()
	a, err := NewAuthority(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func address(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func TestQuestionsAreNSQs(t *testing.T) {
	caller := Caller{RemoteIP: "10.1.2.3", TLS: true, CommonName: "client-7", Secret: secret}
	for _, post := range []bool{false, true} {
		var got http.Request
		var body []byte
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = *r
			body, _ = io.ReadAll(r.Body)
			io.WriteString(w, grantsJSON(60, everything))
		}))
		before := time.Now()
		g, err := newAuthority(t, AuthorityOptions{Addresses: []string{address(s)}, Post: post}).Ask(t.Context(), caller)
		s.Close()
		if err != nil || g.Identity != "me" || g.IdentityURL != "http://me" || g.Count() != 1 {
			t.Fatalf("got %+v, %v", g, err)
		}
		if g.Expires.Before(before.Add(59*time.Second)) || g.Expires.After(time.Now().Add(61*time.Second)) {
			t.Errorf("expires %v", g.Expires)
		}
		form := map[string][]string(got.URL.Query())
		if post {
			form = nil
			if err := json.Unmarshal(body, &form); err != nil {
				t.Fatal(err)
			}
		}
		if want := "map[common_name:[client-7] remote_ip:[10.1.2.3] secret:[" + secret + "] tls:[true]]"; fmt.Sprint(form) != want {
			t.Errorf("got %v, want %s", form, want)
		}
		if got.URL.Path != "/auth" || got.Header.Get("Accept") != "application/vnd.nsq; version=1.0" || (got.Method == "POST") != post {
			t.Errorf("got %s %s %s", got.Method, got.URL.Path, got.Header.Get("Accept"))
		}
	}
}

func TestGrantsAreJudgedAsByNsqd(t *testing.T) {
	g, err := decodeGrants([]byte(grantsJSON(1, `
		{"topic":"^orders$","channels":["^work$","^$"],"permissions":["subscribe","publish"]},
		{"topic":"log","channels":[],"permissions":["publish"]},
		{"topic":"^read$","channels":[".*"],"permissions":["subscribe"]},
		{"topic":"^write$","channels":[".*"],"permissions":["publish"]},
		{"topic":"^none$","channels":[".*"],"permissions":[]}`)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		topic, channel string
		ok             bool
	}{
		{"orders", "work", true}, {"orders", "other", false}, {"orders", "", true}, {"orders2", "work", false},
		{"logs", "", false}, {"read", "any", true}, {"read", "", false}, {"write", "", true}, {"write", "c", false},
		{"none", "", false}, {"none", "c", false},
	} {
		got := g.MaySubscribe(c.topic, c.channel)
		if c.channel == "" {
			got = g.MayPublish(c.topic)
		}
		if got != c.ok {
			t.Errorf("topic %s channel %q: %v", c.topic, c.channel, got)
		}
	}
}

func TestAnswersThatAreNoGrants(t *testing.T) {
	for body, want := range map[string]string{
		"":                              "not the JSON",
		"<html>" + secret:               "not the JSON",
		`"` + secret + `"`:              "not the JSON",
		`{"ttl":"` + secret:             "not the JSON",
		`{}`:                            "ttl 0",
		grantsJSON(-1, ""):              "ttl -1",
		grantsJSON(60, `{"topic":"("}`): "topic: error parsing regexp",
		grantsJSON(60, `{"topic":"t","channels":["["]}`):                     "channel: error parsing regexp",
		grantsJSON(60, `{"topic":"t","channels":[],"permissions":["root"]}`): `permission "root"`,
		strings.Repeat(" ", maxAnswerBytes+1):                                "longer than",
	} {
		_, err := newAuthority(t, AuthorityOptions{Addresses: []string{address(answering(t, 200, body))}}).
			Ask(t.Context(), Caller{Secret: secret})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%.60q: got %v, want %q", body, err, want)
		}
	}
}

// grantsBudget allows for regular expressions, whose programs are much larger than their text: "a{0,1000}" takes 72 KiB for each byte,
// and is near the most that package regexp repeats.
var grantsBudget = bounded.Budget{BaseBytes: 1 << 20, BytesPerByte: 128 << 10}

func FuzzGrants(f *testing.F) {
	f.Add([]byte(grantsJSON(60, `{"topic":"(a{1000})","permissions":["publish"],
		"channels":["((a{10}){10}){10}","[^x]{1000}","a{0,1000}a{0,1000}^(a|b){1000}$"]}`)), "t", "c")
	f.Add([]byte(grantsJSON(60, everything)), "t", "c")
	f.Add([]byte(`{"ttl":1,"authorizations":[{"topic":"a**","channels":null}]}`), "", "")
	f.Fuzz(func(t *testing.T, body []byte, topic, channel string) {
		grantsBudget.Memory(t, len(body), func() { decodeGrants(body, time.Now()) })
		g, err := decodeGrants(body, time.Now())
		if err != nil {
			return
		}
		if g.Count() == 0 && (g.MayPublish(topic) || g.MaySubscribe(topic, channel)) {
			t.Error("no authorization allows something")
		}
		if !g.Expires.After(time.Now().Add(-time.Second)) {
			t.Error("an answer has expired before it is used")
		}
	})
}

func TestOneServerIsEnough(t *testing.T) {
	good := answering(t, 200, grantsJSON(60, everything))
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down.Close()
	a := newAuthority(t, AuthorityOptions{Addresses: []string{down.Addr().String(), address(answering(t, 500, "")), good.URL}})
	for range 20 { // from a random one on
		if _, err := a.Ask(t.Context(), Caller{Secret: secret}); err != nil {
			t.Fatal(err)
		}
	}
	a = newAuthority(t, AuthorityOptions{Addresses: []string{down.Addr().String(), address(answering(t, 403, secret))}})
	_, err = a.Ask(t.Context(), Caller{Secret: secret})
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "connection refused") ||
		!strings.Contains(err.Error(), "answered 403") {
		t.Errorf("got %v", err)
	}
}

func TestSlowServersAreGivenUp(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a := newAuthority(t, AuthorityOptions{
		Addresses:      []string{address(slow), silent.Addr().String(), "https://" + silent.Addr().String() + "/auth"},
		ConnectTimeout: 50 * time.Millisecond, RequestTimeout: 100 * time.Millisecond,
	})
	begun := time.Now()
	_, err = a.Ask(t.Context(), Caller{Secret: secret})
	if took := time.Since(begun); err == nil || took > 2*time.Second || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("after %v: %v", took, err)
	}
}

func TestHTTPSServersAreVerified(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	pair := ca.Issue(t, testcert.Spec{})
	certificate, err := tlsconf.Open(tlsconf.Options{CertFile: pair.CertFile, KeyFile: pair.KeyFile})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, grantsJSON(60, everything))
	}))
	s.TLS = certificate.Server()
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	for _, c := range []struct {
		root string
		ok   bool
	}{{ca.File, true}, {testcert.NewAuthority(t, "another").File, false}} {
		source, err := tlsconf.Open(tlsconf.Options{RootCAFile: c.root})
		if err != nil {
			t.Fatal(err)
		}
		_, err = newAuthority(t, AuthorityOptions{Addresses: []string{s.URL + "/auth"}, TLS: source}).Ask(t.Context(), Caller{Secret: secret})
		if (err == nil) != c.ok {
			t.Errorf("%v: %v", c.ok, err)
		}
	}
}

func TestAddressesAreChecked(t *testing.T) {
	for _, bad := range []string{"", "ftp://host/auth", "http://", "host:port:more/%zz"} {
		if _, err := NewAuthority(AuthorityOptions{Addresses: []string{bad}}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

const (
	token      = "token-of-an-operator-1"
	otherToken = "token-of-an-operator-2"
)

func writeTokens(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokensFollowTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	writeTokens(t, path, "# operators", "", " "+token+" ", otherToken, "")
	var log bytes.Buffer
	tokens, err := OpenTokens(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(token string, want bool) {
		t.Helper()
		tokens.mu.looked = time.Time{}
		if tokens.Know(token) != want {
			t.Errorf("%q known: %v", token, !want)
		}
	}
	expect(token, true)
	expect(otherToken, true)
	for _, stranger := range []string{"", token[:20], token + "x", "# operators", " " + token} {
		expect(stranger, false)
	}
	writeTokens(t, path, otherToken)
	expect(token, false)
	expect(otherToken, true)
	writeTokens(t, path, "short")
	expect(otherToken, true)
	expect(otherToken, true)
	if strings.Count(log.String(), "the last tokens still hold") != 1 || strings.Contains(log.String(), "short\n") {
		t.Errorf("log %s", &log)
	}
	for _, content := range []string{"", "# only words", "short", strings.Repeat("x", maxTokenFile+1)} {
		writeTokens(t, path, content)
		if _, err := OpenTokens(path, slog.Default()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", content, err)
		}
	}
	if _, err := OpenTokens("/does/not/exist", slog.Default()); err == nil {
		t.Error("a missing file is accepted")
	}
}

// needs is an API with one path for each need.
func needs(r *http.Request) Need {
	topic, channel := r.URL.Query().Get("topic"), r.URL.Query().Get("channel")
	switch r.URL.Path {
	case "/ping":
		return Nothing()
	case "/stats":
		return Client()
	case "/pub":
		return Publish(topic)
	case "/channel":
		return Subscribe(topic, channel)
	}
	return Operator()
}

func TestGuard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	writeTokens(t, path, token)
	tokens, err := OpenTokens(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Query().Get("secret") {
		case "client":
			io.WriteString(w, grantsJSON(60, `{"topic":"^t$","channels":["^c$","^$"],"permissions":["publish","subscribe"]}`))
		case "stranger":
			io.WriteString(w, grantsJSON(60, ""))
		default:
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	var log bytes.Buffer
	g := &Guard{Tokens: tokens, Authority: newAuthority(t, AuthorityOptions{Addresses: []string{address(server)}}),
		Logger: slog.New(slog.NewTextHandler(&log, nil))}
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "passed") }), needs)
	for _, c := range []struct {
		authorization, target string
		status                int
		body                  string
	}{
		{"", "/ping", 200, "passed"},
		{"Bearer wrong", "/ping", 200, "passed"},
		{"", "/stats", 401, `{"message":"UNAUTHORIZED"}`},
		{"", "/pub?topic=t", 401, `{"message":"UNAUTHORIZED"}`},
		{"Bearer " + token, "/anything", 200, "passed"},
		{"bearer  " + token, "/pub?topic=t", 200, "passed"},
		{"Basic " + token, "/anything", 401, `{"message":"UNAUTHORIZED"}`},
		{token, "/anything", 401, `{"message":"UNAUTHORIZED"}`},
		{"Bearer ", "/anything", 401, `{"message":"UNAUTHORIZED"}`},
		{"Bearer client", "/stats", 200, "passed"},
		{"Bearer client", "/pub?topic=t", 200, "passed"},
		{"Bearer client", "/pub?topic=u", 403, `{"message":"FORBIDDEN"}`},
		{"Bearer client", "/channel?topic=t&channel=c", 200, "passed"},
		{"Bearer client", "/channel?topic=t&channel=d", 403, `{"message":"FORBIDDEN"}`},
		{"Bearer client", "/anything", 403, `{"message":"FORBIDDEN"}`},
		{"Bearer stranger", "/stats", 401, `{"message":"UNAUTHORIZED"}`},
		{"Bearer trouble", "/stats", 503, `{"message":"AUTH_FAILED"}`},
		{"Bearer trouble", "/stats", 503, `{"message":"AUTH_FAILED"}`},
		{"Bearer trouble again", "/stats", 503, `{"message":"AUTH_FAILED"}`},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%q %s: got %d %s, want %d %s", c.authorization, c.target, w.Code, w.Body, c.status, c.body)
		}
		if (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
			t.Errorf("%q %s: WWW-Authenticate %q", c.authorization, c.target, w.Header().Get("WWW-Authenticate"))
		}
	}
	if n := strings.Count(log.String(), "the AUTH servers cannot be asked"); n != 1 { // or whoever tries fills the log
		t.Errorf("%d lines tell of three requests that could not be judged", n)
	}
	if n := asked.Load(); n > 7 { // the client once, two strangers, three in trouble
		t.Errorf("the AUTH server was asked %d times", n)
	}
	if strings.Contains(log.String(), "trouble ") || strings.Contains(log.String(), "secret=") {
		t.Errorf("log %s", &log)
	}
}

func TestGuardWithoutAuthorityKnowsOnlyItsTokens(t *testing.T) {
	g := &Guard{Logger: slog.New(slog.DiscardHandler)}
	h := g.Handler(http.NotFoundHandler(), needs)
	r := httptest.NewRequest("GET", "/stats", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("got %d", w.Code)
	}
}

// The secret is in the question's URL, which net/http would name to the server that it is sent on to.
func TestRedirectsDoNotPassTheSecretOn(t *testing.T) {
	var referer atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		referer.Store(r.Referer())
		io.WriteString(w, grantsJSON(1, everything))
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer first.Close()
	a := newAuthority(t, AuthorityOptions{Addresses: []string{address(first)}})
	if _, err := a.Ask(t.Context(), Caller{Secret: secret}); err != nil {
		t.Fatal(err)
	}
	if got := referer.Load(); got != "" {
		t.Errorf("the other server is told %q", got)
	}
}
