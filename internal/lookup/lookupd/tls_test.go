package lookupd

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/testcert"
)

// certified returns the configurations of a service and of who trusts it.
func certified(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	authority := testcert.NewAuthority(t, "test")
	files := authority.Issue(t, testcert.Spec{})
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: authority.Pool(), ServerName: "127.0.0.1"}
}

func TestOnePortTakesTLSAndClear(t *testing.T) {
	server, client := certified(t)
	s := startServer(t, Options{TLS: server, Version: "v"})
	conn, err := tls.Dial("tcp", s.TCPAddr(), client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	broker{t, conn}.send("  V1PING\nREGISTER t\n").expect("OK", "E_INVALID client must IDENTIFY", "")
	dial(t, s).send("  V1PING\nREGISTER t\n").expect("OK", "E_INVALID client must IDENTIFY", "")

	https := http.Client{Transport: &http.Transport{TLSClientConfig: client, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := https.Get("https://" + s.HTTPAddr() + "/info")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); string(text) != `{"version":"v"}` {
		t.Errorf("by TLS: %s", text)
	}
	if got := request(t, s, "GET", "/info"); got != `200 {"version":"v"}` {
		t.Errorf("in the clear: %s", got)
	}
}

func TestRequiredTLSRefusesTheClear(t *testing.T) {
	server, client := certified(t)
	s := startServer(t, Options{TLS: server, TLSRequired: true})
	b := dial(t, s).send("  V1PING\n")
	if got, err := readAnswer(b); err == nil {
		t.Errorf("in the clear: %q", got)
	}
	if resp, err := http.Get("http://" + s.HTTPAddr() + "/ping"); err == nil {
		resp.Body.Close()
		t.Errorf("HTTP in the clear: %s", resp.Status)
	}
	conn, err := tls.Dial("tcp", s.TCPAddr(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	broker{t, conn}.send("  V1PING\n").expect("OK")
	if _, err := Start(listen(t), listen(t), Options{TLSRequired: true}); err == nil || !strings.Contains(err.Error(), "--tls-cert") {
		t.Errorf("without a certificate: %v", err)
	}
}

// A connection that never says its first byte must not hold up accepting others, nor Close.
func TestSilentConnectionsHoldUpNobody(t *testing.T) {
	server, _ := certified(t)
	s := startServer(t, Options{TLS: server})
	for range 3 {
		dial(t, s)
	}
	dial(t, s).send("  V1PING\n").expect("OK")
	dial(t, s).send("\x16\x03\x01").Close() // a handshake cut off
}
