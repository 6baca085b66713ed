package nsqtcp

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/testkit/testcert"
)

// authServer is an AUTH server whose answer a test changes.
type authServer struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(http.ResponseWriter, *http.Request)
	asked  []string // tls and remote address of each question
}

func startAuthServer(t *testing.T, answer string) *authServer {
	t.Helper()
	a := &authServer{}
	a.say(answer)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.URL.Query().Get("tls")+" "+r.URL.Query().Get("remote_ip"))
		answer := a.answer
		a.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *authServer) set(answer func(http.ResponseWriter, *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func (a *authServer) say(answer string) {
	a.set(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
}

func (a *authServer) questions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

func (a *authServer) options(t *testing.T) Options {
	t.Helper()
	authority, err := auth.NewAuthority(auth.AuthorityOptions{Addresses: []string{a.URL}, RequestTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Authority: authority}
}

const (
	orders  = `{"topic":"^orders$","channels":["^work$","^$"],"permissions":["publish","subscribe"]}`
	granted = `{"ttl":%d,"identity":"me","identity_url":"http://me","authorizations":[` + orders + `]}`
)

func authorize(secret string) string { return "AUTH\n" + sized(secret) }

const authReply = `{"identity":"me","identity_url":"http://me","permission_count":1}`

func TestAuthorizedClientsDoWhatIsGranted(t *testing.T) {
	a := startAuthServer(t, fmt.Sprintf(granted, 3600))
	server, addr, _ := startBroker(t, a.options(t))
	c := dial(t, addr)
	c.negotiate(`"client_id":"x"`, `"auth_required":true`)
	c.send(authorize("secret"))
	c.expect(authReply)
	c.send(pub("orders", "1") + pub("orders", "2") + mpub("orders", "3"))
	for range 3 {
		c.expect("OK")
	}
	if p := server.Producers(); len(p) != 1 || !p[0].Authed || p[0].AuthIdentity != "me" || p[0].AuthIdentityURL != "http://me" {
		t.Errorf("/stats would show %+v", p)
	}
	c.send("SUB orders work\nRDY 1\n")
	c.expect("OK")
	if m := c.expectMessage(); m.body != "1" {
		t.Errorf("got %q", m.body)
	}
	if got := a.questions(); len(got) != 1 || got[0] != "false 127.0.0.1" {
		t.Errorf("asked %q", got)
	}
}

func TestWhatIsNotGrantedIsRefused(t *testing.T) {
	a := startAuthServer(t, fmt.Sprintf(granted, 3600))
	_, addr, _ := startBroker(t, a.options(t))
	for _, c := range []struct{ send, want string }{
		{pub("orders", "x"), "E_AUTH_FIRST AUTH required before PUB"},
		{mpub("orders", "x"), "E_AUTH_FIRST AUTH required before MPUB"},
		{"DPUB orders 1\n" + sized("x"), "E_AUTH_FIRST AUTH required before DPUB"},
		{"SUB orders work\n", "E_AUTH_FIRST AUTH required before SUB"},
		{authorize("s") + pub("other", "x"), `E_UNAUTHORIZED AUTH failed for PUB on "other" ""`},
		{authorize("s") + mpub("other", "x"), `E_UNAUTHORIZED AUTH failed for MPUB on "other" ""`},
		{authorize("s") + "DPUB other 1\n" + sized("x"), `E_UNAUTHORIZED AUTH failed for DPUB on "other" ""`},
		{authorize("s") + "SUB orders other\n", `E_UNAUTHORIZED AUTH failed for SUB on "orders" "other"`},
		{authorize("s") + authorize("s"), "E_INVALID AUTH already set"},
	} {
		conn := dial(t, addr)
		conn.send(c.send)
		if strings.HasPrefix(c.send, "AUTH") {
			conn.expect(authReply)
		}
		conn.expectError(c.want)
		conn.expectClosed()
	}
	a.say(`{"ttl":60,"authorizations":[]}`)
	conn := dial(t, addr)
	conn.send(authorize("s"))
	conn.expectError("E_UNAUTHORIZED AUTH no authorizations found")
	conn.expectClosed()
}

func TestGrantsAreAskedForAgainWhenTheyExpire(t *testing.T) {
	t.Parallel()
	a := startAuthServer(t, fmt.Sprintf(granted, 1))
	_, addr, _ := startBroker(t, a.options(t))
	c := dial(t, addr)
	c.send(authorize("secret"))
	c.expect(authReply)
	c.send(pub("orders", "x"))
	c.expect("OK")
	if n := len(a.questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	time.Sleep(1100 * time.Millisecond)
	c.send(pub("orders", "x"))
	c.expect("OK")
	if n := len(a.questions()); n != 2 {
		t.Errorf("asked %d times", n)
	}
	a.say(`{"ttl":60,"authorizations":[]}`)
	time.Sleep(1100 * time.Millisecond)
	c.send(pub("orders", "x"))
	c.expectError(`E_UNAUTHORIZED AUTH failed for PUB on "orders" ""`)
	c.expectClosed()
}

func TestAuthServersInTroubleDisturbNobodyElse(t *testing.T) {
	a := startAuthServer(t, fmt.Sprintf(granted, 3600))
	var log lockedBuffer
	o := a.options(t)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	_, addr, _ := startBroker(t, o)
	served := dial(t, addr)
	served.send(authorize("secret"))
	served.expect(authReply)
	release := make(chan struct{})
	defer close(release)
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"rubbish": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>no</html>") },
		"refuses": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"slow":    func(http.ResponseWriter, *http.Request) { <-release },
		"hangs up": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		a.set(answer)
		c := dial(t, addr)
		begun := time.Now()
		c.send(authorize("very secret"))
		served.send(pub("orders", "undisturbed"))
		served.expect("OK")
		if took := time.Since(begun); name == "slow" && took > 250*time.Millisecond {
			t.Errorf("another session waited %v for the AUTH server", took)
		}
		c.expectError("E_AUTH_FAILED AUTH failed")
		c.expectClosed()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s: refused after %v", name, took)
		}
	}
	if n := strings.Count(log.String(), "a client is refused"); n != 1 || strings.Contains(log.String(), "very") {
		t.Errorf("log: %s", log.String())
	}
}

func TestSecretsTravelByTLS(t *testing.T) {
	a := startAuthServer(t, fmt.Sprintf(granted, 3600))
	ca := testcert.NewAuthority(t, "ca")
	o := secured(t, ca)
	o.Authority = a.options(t).Authority
	_, addr, _ := startBroker(t, o)
	c := dial(t, addr)
	c.negotiate(`"tls_v1":true,"snappy":true`)
	c.startTLS(ca)
	c.startSnappy()
	c.send(authorize("secret"))
	c.expect(authReply)
	if got := a.questions(); len(got) != 1 || got[0] != "true 127.0.0.1" {
		t.Errorf("asked %q", got)
	}
}

// lockedBuffer is a buffer that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
