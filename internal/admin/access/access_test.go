package access

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	annsToken = "annstoken-annstoken"
	bobsToken = "bobstoken-bobstoken"
	cyesToken = "cyestoken-cyestoken"
)

func tokens(t *testing.T) Tokens {
	t.Helper()
	list, err := ParseTokens(strings.NewReader("# who may come in\n\nann admin " + annsToken + "\nbob read " + bobsToken +
		"\n  cye  read+bodies\t" + cyesToken + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTokenFilesThatCannotBeUsed(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "no token",
		"ann admin":               "line 1",
		"\nann root " + annsToken: "line 2: want admin",
		"ann admin short":         "less than 16",
		"ann admin " + annsToken + "\nbob read " + annsToken: "line 2: the token was there before",
	} {
		_, err := ParseTokens(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), annsToken) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func request(method string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://weir.example/api/v1/x", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestWhoIsWho(t *testing.T) {
	proxy := Options{Header: "X-Forwarded-User", AdminUsers: []string{"ann"}}
	both := Options{Header: "X-Forwarded-User", AdminUsers: []string{"ann"}, Tokens: tokens(t)}
	for _, c := range []struct {
		name    string
		options Options
		header  []string
		want    Who
		login   string
	}{
		{"nothing set up", Options{Header: "X-Forwarded-User"}, nil, Who{Role: Admin, Bodies: true}, "none"},
		{"nothing set up, named", Options{Header: "X-Forwarded-User"}, []string{"X-Forwarded-User", "eve"}, Who{User: "eve", Role: Admin, Bodies: true}, "none"},
		{"proxy, administrator", proxy, []string{"X-Forwarded-User", "ann"}, Who{User: "ann", Role: Admin, Bodies: true}, "proxy"},
		{"proxy, other", proxy, []string{"X-Forwarded-User", "bob"}, Who{User: "bob", Role: Read}, "proxy"},
		{"proxy, unnamed", proxy, nil, Who{Role: Read}, "proxy"},
		{"token, none", Options{Tokens: tokens(t)}, nil, Who{}, "token"},
		{"token, administrator", Options{Tokens: tokens(t)}, []string{"Authorization", "Bearer " + annsToken}, Who{User: "ann", Role: Admin, Bodies: true}, "token"},
		{"token, reader", Options{Tokens: tokens(t)}, []string{"Authorization", "Bearer " + bobsToken}, Who{User: "bob", Role: Read}, "token"},
		{"token, reader of bodies", Options{Tokens: tokens(t)}, []string{"Authorization", "Bearer " + cyesToken}, Who{User: "cye", Role: Read, Bodies: true}, "token"},
		{"token, bodies for all", Options{Tokens: tokens(t), Bodies: BodiesAll}, []string{"Authorization", "Bearer " + bobsToken}, Who{User: "bob", Role: Read, Bodies: true}, "token"},
		{"bodies for nobody", Options{Bodies: BodiesNone}, nil, Who{Role: Admin}, "none"},
		{"the header does not replace a token", Options{Tokens: tokens(t), Header: "X-Forwarded-User"}, []string{"X-Forwarded-User", "ann"}, Who{}, "token"},
		{"both, by proxy", both, []string{"X-Forwarded-User", "ann"}, Who{User: "ann", Role: Admin, Bodies: true}, "token"},
		{"both, by token", both, []string{"Authorization", "Bearer " + bobsToken}, Who{User: "bob", Role: Read}, "token"},
		{"both, another user of the proxy", both, []string{"X-Forwarded-User", "bob"}, Who{}, "token"},
	} {
		g := NewGuard(c.options)
		got, err := g.Identify(request("GET", c.header...))
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
		if g.Login() != c.login {
			t.Errorf("%s: login %s, want %s", c.name, g.Login(), c.login)
		}
	}
}

func TestSessionNeedsItsCSRFTokenToChangeSomething(t *testing.T) {
	now := time.Unix(1e9, 0)
	g := NewGuard(Options{Tokens: tokens(t), CookiePath: "/admin/", Now: func() time.Time { return now }})
	w := httptest.NewRecorder()
	who, err := g.LogIn(w, request("POST"), annsToken)
	if err != nil || who.User != "ann" || who.CSRF == "" {
		t.Fatalf("%+v, %v", who, err)
	}
	set := w.Header().Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/admin/"} {
		if !strings.Contains(set, part) {
			t.Errorf("cookie %q lacks %s", set, part)
		}
	}
	cookie, _, _ := strings.Cut(set, ";")

	got, err := g.Identify(request("GET", "Cookie", cookie))
	if err != nil || got != who {
		t.Fatalf("%+v, %v, want %+v", got, err, who)
	}
	for _, c := range []struct {
		name string
		r    *http.Request
		want error
	}{
		{"reading", request("GET"), nil},
		{"acting without", request("POST"), ErrCSRF},
		{"acting with another", request("POST", "X-CSRF-Token", "x"), ErrCSRF},
		{"acting with it", request("POST", "X-CSRF-Token", who.CSRF), nil},
		{"from elsewhere", request("DELETE", "X-CSRF-Token", who.CSRF, "Sec-Fetch-Site", "cross-site"), ErrCrossOrigin},
		{"from elsewhere, old browser", request("POST", "X-CSRF-Token", who.CSRF, "Origin", "http://evil.example"), ErrCrossOrigin},
		{"from here", request("POST", "X-CSRF-Token", who.CSRF, "Sec-Fetch-Site", "same-origin", "Origin", "http://weir.example"), nil},
	} {
		if err := g.Check(c.r, &got); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}

	now = now.Add(sessionIdle + time.Second)
	if got, _ := g.Identify(request("GET", "Cookie", cookie)); got.LoggedIn() {
		t.Error("the session outlived its time")
	}
}

func TestLogOutEndsTheSession(t *testing.T) {
	g := NewGuard(Options{Tokens: tokens(t)})
	w := httptest.NewRecorder()
	if _, err := g.LogIn(w, request("POST"), bobsToken); err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	g.LogOut(httptest.NewRecorder(), request("POST", "Cookie", cookie))
	if got, _ := g.Identify(request("GET", "Cookie", cookie)); got.LoggedIn() {
		t.Error("still logged in")
	}
}

func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(Options{Tokens: tokens(t)})
		begun := time.Now()
		if _, err := g.LogIn(httptest.NewRecorder(), request("POST"), "guess"); !errors.Is(err, ErrBadToken) {
			t.Error(err)
		}
		if took := time.Since(begun); took != refusalDelay {
			t.Errorf("refused after %v", took)
		}
		results := make(chan error, 100)
		for range 100 {
			go func() {
				_, err := g.Identify(request("GET", "Authorization", "Bearer guess"))
				results <- err
			}()
		}
		tooMany := 0
		for range 100 {
			if err := <-results; errors.Is(err, ErrTooMany) {
				tooMany++
			}
		}
		if tooMany != 100-refusalsAtOnce {
			t.Errorf("%d of 100 guesses were refused at once", tooMany)
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	now := time.Unix(1e9, 0)
	first, _ := s.begin(holder{user: "first"}, now)
	for i := range maxSessions + 10 {
		s.begin(holder{user: "x"}, now.Add(time.Duration(i+1)*time.Millisecond))
	}
	if len(s.mu.byKey) > maxSessions {
		t.Errorf("%d sessions", len(s.mu.byKey))
	}
	if _, ok := s.find(first, now); ok {
		t.Error("the session idle for longest is still there")
	}
}

// Whoever mixes up the columns must not find the token in the log.
func TestErrorsQuoteNoToken(t *testing.T) {
	const token = "annstoken-annstoken"
	for _, line := range []string{"ann " + token + " admin", token + " admin ann", token + " ann admin", "ann admin " + token + " x"} {
		if _, err := ParseTokens(strings.NewReader(line)); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
