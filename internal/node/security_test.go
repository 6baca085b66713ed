package node

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/testcert"
)

// securedOptions are those of a node with a certificate of ca.
func securedOptions(t *testing.T, ca *testcert.Authority) Options {
	t.Helper()
	o := testOptions(t.TempDir())
	pair := ca.Issue(t, testcert.Spec{})
	o.TLS.CertFile, o.TLS.KeyFile, o.HTTPSAddress = pair.CertFile, pair.KeyFile, "127.0.0.1:0"
	return o
}

// get returns status and body of what a client that trusts ca gets.
func get(t *testing.T, ca *testcert.Authority, url string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()},
	}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestRequiredTLS(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	for _, c := range []struct {
		required        TLSRequired
		tcp, http       bool // may be in the clear
		name            string
		withoutHTTPPort bool
	}{
		{TLSOptional, true, true, "optional", false}, {TLSEverywhere, false, false, "true", false},
		{TLSOnTCP, false, true, "tcp-https", false}, {TLSEverywhere, false, false, "HTTPS alone", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := securedOptions(t, ca)
			o.TLSRequired = c.required
			if c.withoutHTTPPort {
				o.HTTPAddress = ""
			}
			n := start(t, o)
			defer n.Stop()
			if status, text := get(t, ca, "https://"+n.HTTPSAddr()+"/ping"); status != 200 || text != "OK" {
				t.Errorf("HTTPS: %d %s", status, text)
			}
			if !c.withoutHTTPPort {
				_, port, _ := net.SplitHostPort(n.HTTPSAddr())
				refusal := fmt.Sprintf(`{"message": "TLS_REQUIRED", "https_port": %s}`, port)
				status, text := get(t, ca, "http://"+n.HTTPAddr()+"/ping")
				if c.http != (status == 200) || !c.http && (status != 403 || text != refusal) {
					t.Errorf("HTTP: %d %s", status, text)
				}
			}
			for _, secure := range []bool{true, false} {
				config := nsq.NewConfig()
				if secure {
					config.TlsV1, config.TlsConfig = true, &tls.Config{RootCAs: ca.Pool()}
				}
				p, err := nsq.NewProducer(n.TCPAddr(), config)
				if err != nil {
					t.Fatal(err)
				}
				p.SetLogger(nil, nsq.LogLevelError)
				if err := p.Publish("t", []byte("x")); (err == nil) != (secure || c.tcp) {
					t.Errorf("publish with TLS %v: %v", secure, err)
				}
				p.Stop()
			}
		})
	}
}

func TestStartRefusesCertificatesThatCannotBeUsed(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"missing file": {func(o *Options) { o.TLS.KeyFile = "/does/not/exist" }, "private key /does/not/exist: no such file"},
		"expired": {func(o *Options) {
			pair := ca.Issue(t, testcert.Spec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
			o.TLS.CertFile, o.TLS.KeyFile = pair.CertFile, pair.KeyFile
		}, "expired at"},
		"required without": {func(o *Options) {
			o.TLS.CertFile, o.TLS.KeyFile, o.TLSRequired = "", "", TLSOnTCP
		}, "TLS cannot be required without a certificate"},
		"taken port": {func(o *Options) { o.HTTPSAddress = "256.0.0.1:1" }, "--https-address"},
	} {
		o := securedOptions(t, ca)
		c.change(&o)
		n, err := Start(t.Context(), o)
		if err == nil {
			n.Stop()
			t.Errorf("%s: it starts", name)
		} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one line with %q", name, err, c.want)
		}
	}
}

func TestHTTPAsksForATokenIfThereAreTokens(t *testing.T) {
	const operator = "token-of-the-operator"
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte(operator+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("secret") == "client" {
			io.WriteString(w, `{"ttl":60,"authorizations":[{"topic":"^mine$","channels":["^c$","^$"],"permissions":["publish","subscribe"]}]}`)
		}
	}))
	defer server.Close()
	o := testOptions(t.TempDir())
	o.HTTPTokenFile, o.HTTPAuthServer, o.Auth.Addresses = tokens, true, []string{server.URL}
	n := start(t, o)
	defer n.Stop()
	for _, c := range []struct {
		token, method, target string
		status                int
	}{
		{"", "GET", "/ping", 200}, {"", "GET", "/stats", 401}, {"", "GET", "/metrics", 401}, {"", "POST", "/pub?topic=mine", 401},
		{"", "GET", "/debug/pprof/", 401}, {"", "GET", "/config/log_level", 401}, {"", "GET", "/no/such/path", 401},
		{"nobody", "GET", "/stats", 503},
		{"client", "GET", "/stats", 200}, {"client", "POST", "/pub?topic=mine", 200}, {"client", "POST", "/pub?topic=other", 403},
		{"client", "POST", "/mpub?topic=other", 403}, {"client", "POST", "/channel/create?topic=mine&channel=c", 200},
		{"client", "POST", "/channel/create?topic=mine&channel=d", 403}, {"client", "POST", "/topic/create?topic=other", 403},
		{"client", "POST", "/topic/delete?topic=mine", 403}, {"client", "POST", "/topic/pause?topic=mine", 403},
		{"client", "GET", "/config/log_level", 403}, {"client", "GET", "/debug/pprof/heap", 403},
		{"client", "POST", "/pub?topic=mine;topic=other", 403},
		{operator, "GET", "/metrics", 200}, {operator, "POST", "/pub?topic=other", 200}, {operator, "GET", "/config/log_level", 400},
		{operator, "POST", "/topic/delete?topic=mine", 200}, {operator, "GET", "/no/such/path", 404},
	} {
		r, err := http.NewRequest(c.method, "http://"+n.HTTPAddr()+c.target, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%q %s %s: %d, want %d", c.token, c.method, c.target, resp.StatusCode, c.status)
		}
	}
	for name, change := range map[string]func(*Options){
		"no AUTH server":     func(o *Options) { o.Auth.Addresses = nil },
		"bad address":        func(o *Options) { o.Auth.Addresses = []string{"ftp://x"} },
		"missing token file": func(o *Options) { o.HTTPTokenFile = "/does/not/exist" },
	} {
		o := o
		o.DataPath = t.TempDir()
		change(&o)
		if n, err := Start(t.Context(), o); err == nil {
			n.Stop()
			t.Errorf("%s: it starts", name)
		}
	}
}
