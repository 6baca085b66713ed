//go:build process

package test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/testcert"
)

// httpsAddress returns a loopback address for a node's HTTPS.
func httpsAddress(t *testing.T) string {
	t.Helper()
	address, err := proc.FreeAddress()
	must(t, err)
	return address
}

// tlsFlags are those of a node with a certificate; plain HTTP stays open, for the tests' own questions.
func tlsFlags(pair testcert.Pair, https string, more ...string) []string {
	return append([]string{"--tls-cert=" + pair.CertFile, "--tls-key=" + pair.KeyFile, "--https-address=" + https, "--tls-required=tcp-https"}, more...)
}

// clientConfig is a TLS configuration that trusts ca, and shows a certificate if there is one.
func clientConfig(t *testing.T, ca *testcert.Authority, pair *testcert.Pair) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}
	if pair != nil {
		cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
		must(t, err)
		config.Certificates = []tls.Certificate{cert}
	}
	return config
}

// tryPublish publishes one message on a connection of its own.
func tryPublish(t *testing.T, addr, topic string, change func(*nsq.Config)) error {
	t.Helper()
	config := nsq.NewConfig()
	change(config)
	p, err := nsq.NewProducer(addr, config)
	must(t, err)
	p.SetLogger(nil, nsq.LogLevelError)
	defer p.Stop()
	return p.Publish(topic, []byte("x"))
}

// TestGoNSQSecured has go-nsq publish and consume through every layer, with certificates on both sides.
func TestGoNSQSecured(t *testing.T) {
	ca, stranger := testcert.NewAuthority(t, "ours"), testcert.NewAuthority(t, "theirs")
	https := httpsAddress(t)
	mine := ca.Issue(t, testcert.Spec{CommonName: "client"})
	b := startBroker(t, tlsFlags(ca.Issue(t, testcert.Spec{}), https, "--tls-root-ca-file="+ca.File, "--tls-client-auth-policy=require-verify")...)
	config := clientConfig(t, ca, &mine)
	for name, change := range map[string]func(*nsq.Config){
		"tls":         func(c *nsq.Config) {},
		"tls_snappy":  func(c *nsq.Config) { c.Snappy = true },
		"tls_deflate": func(c *nsq.Config) { c.Deflate, c.DeflateLevel = true, 9 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secure := func(c *nsq.Config) { c.TlsV1, c.TlsConfig = true, config; change(c) }
			deliveries, _ := goNSQConsume(t, b.TCP(), name, secure)
			goNSQPublishesMany(t, b.TCP(), name, secure, deliveries)
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		foreign := stranger.Issue(t, testcert.Spec{})
		for name, change := range map[string]func(*nsq.Config){
			"in the clear":         func(*nsq.Config) {},
			"compressed only":      func(c *nsq.Config) { c.Snappy = true },
			"without certificate":  func(c *nsq.Config) { c.TlsV1, c.TlsConfig = true, clientConfig(t, ca, nil) },
			"foreign certificate":  func(c *nsq.Config) { c.TlsV1, c.TlsConfig = true, clientConfig(t, ca, &foreign) },
			"trusts somebody else": func(c *nsq.Config) { c.TlsV1, c.TlsConfig = true, clientConfig(t, stranger, &mine) },
		} {
			if err := tryPublish(t, b.TCP(), "refused", change); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
		resp, err := client.Post("https://"+https+"/pub?topic=https", "", strings.NewReader("x"))
		must(t, err)
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); string(text) != "OK" {
			t.Errorf("got %s %s", resp.Status, text)
		}
	})
}

// TestGoNSQCompressed has go-nsq use compression without TLS.
func TestGoNSQCompressed(t *testing.T) {
	b := startBroker(t)
	for name, change := range map[string]func(*nsq.Config){
		"snappy":  func(c *nsq.Config) { c.Snappy = true },
		"deflate": func(c *nsq.Config) { c.Deflate, c.DeflateLevel = true, 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deliveries, _ := goNSQConsume(t, b.TCP(), name, change)
			goNSQPublishesMany(t, b.TCP(), name, change, deliveries)
		})
	}
}

// goNSQPublishesMany publishes messages of many sizes and expects each of them once.
func goNSQPublishesMany(t *testing.T, addr, topic string, change func(*nsq.Config), deliveries <-chan seen) {
	t.Helper()
	config := nsq.NewConfig()
	change(config)
	p, err := nsq.NewProducer(addr, config)
	must(t, err)
	p.SetLogger(nil, nsq.LogLevelError)
	defer p.Stop()
	want := map[string]bool{}
	for i := range 300 {
		body := fmt.Sprint(i, strings.Repeat(fmt.Sprint(" text ", i), i*i/10))
		want[body] = true
		must(t, p.Publish(topic, []byte(body)))
	}
	for range len(want) {
		s := next(t, deliveries, 10*time.Second)
		if !want[s.body] {
			t.Fatalf("%.40q came, which was not sent or came before", s.body)
		}
		delete(want, s.body)
		s.message.Finish()
	}
}

// TestCertificatesAreReplacedWhileConnectionsRun replaces the certificate by a new one, by junk, and by another again.
func TestCertificatesAreReplacedWhileConnectionsRun(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	pair := ca.Issue(t, testcert.Spec{CommonName: "first"})
	https := httpsAddress(t)
	b := startBroker(t, tlsFlags(pair, https)...)
	secure := func(c *nsq.Config) {
		c.TlsV1, c.TlsConfig = true, clientConfig(t, ca, nil)
		c.HeartbeatInterval = time.Second
	}
	deliveries, lines := goNSQConsume(t, b.TCP(), "running", secure)
	served := func() string {
		conn, err := tls.Dial("tcp", https, clientConfig(t, ca, nil))
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	expect := func(name string) {
		t.Helper()
		eventually(t, 5*time.Second, "the certificate of "+name+" is served", func() bool { return served() == name })
		must(t, tryPublish(t, b.TCP(), "running", secure))
		next(t, deliveries, 5*time.Second).message.Finish()
	}
	expect("first")
	ca.IssueInto(t, pair, testcert.Spec{CommonName: "second"})
	expect("second")
	must(t, os.WriteFile(pair.CertFile, []byte("junk"), 0o600))
	eventually(t, 5*time.Second, "the log says that the new files are of no use", func() bool {
		expect("second")
		return strings.Contains(b.Log(), "new certificate files cannot be used, the old ones stay in use")
	})
	ca.IssueInto(t, pair, testcert.Spec{CommonName: "third"})
	expect("third")
	if n := strings.Count(lines.String(), "connecting to nsqd"); n != 1 {
		t.Errorf("the running consumer connected %d times", n)
	}
}

// TestNodeRefusesToStartInsecurely starts nodes with certificates and tokens that cannot be used.
func TestNodeRefusesToStartInsecurely(t *testing.T) {
	ca := testcert.NewAuthority(t, "ca")
	good, other := ca.Issue(t, testcert.Spec{}), ca.Issue(t, testcert.Spec{})
	old := ca.Issue(t, testcert.Spec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"expired":    {[]string{"--tls-cert=" + old.CertFile, "--tls-key=" + old.KeyFile}, "expired at"},
		"mismatched": {[]string{"--tls-cert=" + good.CertFile, "--tls-key=" + other.KeyFile}, "does not match"},
		"missing":    {[]string{"--tls-cert=/does/not/exist", "--tls-key=" + good.KeyFile}, "no such file"},
		"required":   {[]string{"--tls-required"}, "--tls-cert"},
		"no token":   {[]string{"--http-auth-token-file=/dev/null"}, "there is no token in it"},
		"no AUTH":    {[]string{"--http-auth-server"}, "--auth-http-address"},
	} {
		b, err := proc.NewBroker(weirBinary, t.TempDir(), c.flags...)
		must(t, err)
		if _, err := b.Start(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		b.Kill()
	}
}

// TestAUTHServers has go-nsq show secrets to a node whose AUTH server answers, is silent, and goes away.
func TestAUTHServers(t *testing.T) {
	var silent atomic.Bool
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		switch {
		case silent.Load():
			<-release
		case r.FormValue("secret") == "good":
			io.WriteString(w, `{"ttl":2,"identity":"tester","authorizations":[{"topic":"^mine$","channels":["^work$","^$"],"permissions":["publish","subscribe"]}]}`)
		default:
			io.WriteString(w, "rubbish for "+r.FormValue("secret"))
		}
	}))
	defer server.Close()
	defer close(release) // first: Close waits for the handlers
	b := startBroker(t, "--auth-http-address="+strings.TrimPrefix(server.URL, "http://"), "--http-client-request-timeout=500ms")
	with := func(secret string) func(*nsq.Config) { return func(c *nsq.Config) { c.AuthSecret = secret } }
	deliveries, _ := goNSQConsume(t, b.TCP(), "mine", with("good"))
	must(t, tryPublish(t, b.TCP(), "mine", with("good")))
	next(t, deliveries, 5*time.Second).message.Finish()
	for _, c := range []struct{ name, topic, secret, want string }{
		{"no secret", "mine", "", "Auth Required"}, // go-nsq gives up by itself
		{"another topic", "other", "good", "E_UNAUTHORIZED"},
		{"another secret", "mine", "unknown-secret", "E_AUTH_FAILED"},
	} {
		err := tryPublish(t, b.TCP(), c.topic, with(c.secret))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	silent.Store(true)
	begun := time.Now()
	if err := tryPublish(t, b.TCP(), "mine", with("good")); err == nil {
		t.Error("a silent AUTH server lets somebody in")
	} else if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the refusal took %v", took)
	}
	post(t, b, "/pub?topic=mine", strings.NewReader("by HTTP")) // the running consumer is not disturbed
	next(t, deliveries, 5*time.Second).message.Finish()
	if log := b.Log(); !strings.Contains(log, "AUTH servers give no usable answer") || strings.Contains(log, "unknown-secret") {
		t.Errorf("log:\n%s", log)
	}
}
