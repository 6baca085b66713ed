package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/testkit/testcert"
)

// run runs the program as main does and returns its exit code and output.
func run(ctx context.Context, binary, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	p := process{args: args, in: strings.NewReader(stdin), out: &out, err: &err,
		lookupEnv: func(string) (string, bool) { return "", false }}
	code = exitCode(dispatch(ctx, binary, p), &err)
	return code, out.String(), err.String()
}

func TestCommandLinesThatCannotBeUsedExitWithCode2AndOneLine(t *testing.T) {
	for _, c := range []struct {
		binary, args string
		want         string
	}{
		{"weir", "frobnicate", `weir: subcommand "frobnicate" is unknown; accepted: help, serve, nsqd,`},
		{"weir", "serve --frobnicate", "weir serve: --frobnicate is unknown; accepted: --data-path"},
		{"weir", "serve --sync=never", `weir serve: --sync does not take "never"; accepted: always, os, or a duration`},
		{"weir", "serve stray", `weir serve: argument "stray" is not expected`},
		{"weir", "version stray", `argument "stray" is not expected; accepted: no argument`},
		{"weir", "serve --config=/nope.toml", "weir serve: --config cannot be read"},
		{"/usr/bin/nsqd", "-tls-cert=x", "--tls-key is missing"},
		{"nsqlookupd", "--tls-required", "nsqlookupd: --tls-required cannot be kept without a certificate"},
		{"nsqlookupd", "-tombstone-lifetime=soon", "nsqlookupd: --tombstone-lifetime does not take"},
		{"to_nsq", "", "to_nsq: settings: --topic is required"},
		{"to_nsq", "--topic=t --nsqd-tcp-address=x --delimiter=ab", "to_nsq: --delimiter does not take"},
		{"to_nsq", "--topic=t --nsqd-tcp-address=x --producer-opt=nope,1", "to_nsq: --producer-opt cannot be used"},
		{"nsq_to_file", "--topic=t", "nsq_to_file: settings: --nsqd-tcp-address or --lookupd-http-address is required"},
		{"nsq_to_file", "--topic-pattern=t --nsqd-tcp-address=x", "--lookupd-http-address is required when there is no --topic"},
		{"nsq_to_file", "--topic=t --nsqd-tcp-address=x --gzip --filename-format=f", "must contain <REV>"},
		{"nsq_to_http", "--topic=t --nsqd-tcp-address=x --get=http://a/", "must contain %s once"},
		{"nsq_to_http", "--topic=t --nsqd-tcp-address=x --post=a:80", "is not a URL"},
		{"nsq_to_http", "--topic=t --nsqd-tcp-address=x --post=http://a --sample=1.5", "nsq_to_http: --sample does not take"},
		{"nsq_to_http", "--topic=t --nsqd-tcp-address=x --post=http://a --header=nope", "must have the form Key: Value"},
		{"nsq_to_nsq", "--topic=t --nsqd-tcp-address=x", "--destination-nsqd-tcp-address is required"},
		{"nsq_tail", "--topic=t --nsqd-tcp-address=x --lookupd-http-address=y", "exclude each other"},
		{"nsq_stat", "--topic=t --channel=c", "--nsqd-http-address or --lookupd-http-address is required"},
		{"nsq_to_file", "--topic=t --nsqd-tcp-address=x --datetime-format=%Q", "%Q is unknown"},
	} {
		code, _, stderr := run(context.Background(), c.binary, "", strings.Fields(c.args)...)
		if code != 2 || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s %s: code %d, %q, want code 2 and one line with %q", c.binary, c.args, code, stderr, c.want)
		}
	}
}

func TestHelpAndVersionsExitWithCode0(t *testing.T) {
	for _, c := range []struct{ binary, args, want string }{
		{"weir", "", "weir SUBCOMMAND"},
		{"weir", "help", "run a node"},
		{"weir", "--help", "run a node"},
		{"weir", "help serve", "--sync=always|os|DURATION"},
		{"weir", "serve -h", "(default LISTEN:4150)"},
		{"weir", "help nsqd", "--mem-queue-size"},
		{"weir", "version", "weir v0."},
		{"weir", "--version", "weir v0."},
		{"nsqd", "--version", "nsqd v1.3.0+weir."},
		{"nsqlookupd", "-version", "nsqlookupd v1.3.0+weir."},
		{"weir", "help nsqlookupd", "(--tcp-address is WEIR_TCP_ADDRESS;"},
		{"/opt/to_nsq", "-version", "to_nsq v1.3.0+weir."},
		{"nsq_to_file.exe", "-version", "nsq_to_file v1.3.0+weir."},
		{"nsq_to_http", "-version", "nsq_to_http v1.3.0+weir."},
		{"nsq_to_nsq", "-version", "nsq_to_nsq v1.3.0+weir."},
		{"nsq_tail", "-version", "nsq_tail v1.3.0+weir."},
		{"nsq_stat", "-version", "nsq_stat v1.3.0+weir."},
	} {
		code, stdout, stderr := run(context.Background(), c.binary, "", strings.Fields(c.args)...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, c.want) {
			t.Errorf("%s %s: code %d, %q, %q, want %q", c.binary, c.args, code, stdout, stderr, c.want)
		}
	}
}

func TestServeStopsGracefullyAndLinesGoThroughIt(t *testing.T) {
	dir := t.TempDir()
	address, lookup := freeAddress(t), freeAddress(t)
	ctx, stop := context.WithCancel(context.Background())
	type result struct {
		code        int
		out, stderr string
	}
	servedC := make(chan result, 1)
	go func() {
		code, out, stderr := run(ctx, "weir", "", "serve", "--data-path="+filepath.Join(dir, "data"),
			"--tcp-address="+address, "--http-address=127.0.0.1:0", "--discovery-tcp-address=127.0.0.1:0", "--discovery-http-address="+lookup)
		servedC <- result{code, out, stderr}
	}()
	waitUntilOpen(t, address)

	code, _, stderr := run(context.Background(), "to_nsq", "one\ntwo\nthree", "--topic=t", "--nsqd-tcp-address="+address)
	if code != 0 || !strings.Contains(stderr, "3 acknowledged") {
		t.Errorf("to_nsq: code %d, %s", code, stderr)
	}

	waitUntilListed(t, lookup, "t")

	fileCtx, stopFile := context.WithCancel(context.Background())
	filedC := make(chan int, 1)
	go func() {
		code, _, stderr := run(fileCtx, "nsq_to_file", "", "--topic=t", "--nsqd-tcp-address="+address, "--output-dir="+dir,
			"--filename-format=<TOPIC>.log", "--sync-interval=10ms")
		t.Log(stderr)
		filedC <- code
	}()
	path := filepath.Join(dir, "t.log")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if text, _ := os.ReadFile(path); string(text) == "one\ntwo\nthree\n" {
			break
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(path)
			t.Fatalf("the file holds %q", text)
		}
	}
	stopFile()
	if code := <-filedC; code != 0 {
		t.Errorf("nsq_to_file: code %d", code)
	}

	stop()
	r := <-servedC
	if r.code != 0 || !strings.Contains(r.out, "curl -d 'hello'") || !strings.Contains(r.stderr, "msg=stopped") {
		t.Errorf("serve: code %d\n%s\n%s", r.code, r.out, r.stderr)
	}
}

// What a newcomer is shown must work as it stands, but for the names in capitals.
func TestGreetingTellsOfHTTPSAndTokens(t *testing.T) {
	authority := testcert.NewAuthority(t, "test")
	files := authority.Issue(t, testcert.Spec{})
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("a token of more than 16 characters\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address, https := freeAddress(t), freeAddress(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	outC := make(chan string, 1)
	go func() {
		_, out, stderr := run(ctx, "weir", "", "serve", "--data-path="+t.TempDir(), "--tcp-address="+address, "--http-address=127.0.0.1:0", "--https-address="+https,
			"--discovery-tcp-address=", "--admin-address=", "--tls-cert="+files.CertFile, "--tls-key="+files.KeyFile, "--tls-required", "--http-auth-token-file="+tokens)
		t.Log(stderr)
		outC <- out
	}()
	waitUntilOpen(t, address)
	stop()
	want := "curl --cacert CA.pem -H 'Authorization: Bearer TOKEN' -d 'hello' 'https://" + https + "/pub?topic=greetings'"
	if out := <-outC; !strings.Contains(out, want) {
		t.Errorf("got %q, want %s in it", out, want)
	}
}

func TestNsqlookupdServesUntilItIsStopped(t *testing.T) {
	tcp, http := freeAddress(t), freeAddress(t)
	authority := testcert.NewAuthority(t, "test")
	files := authority.Issue(t, testcert.Spec{})
	ctx, stop := context.WithCancel(context.Background())
	codeC := make(chan int, 1)
	go func() {
		code, _, stderr := run(ctx, "nsqlookupd", "", "-tcp-address="+tcp, "-http-address="+http, "--tls-cert="+files.CertFile, "--tls-key="+files.KeyFile)
		t.Log(stderr)
		codeC <- code
	}()
	waitUntilOpen(t, tcp)
	waitUntilOpen(t, http)
	conn, err := tls.Dial("tcp", tcp, &tls.Config{RootCAs: authority.Pool()})
	if err != nil {
		t.Errorf("by TLS: %v", err)
	} else {
		conn.Close()
	}
	code, _, stderr := run(context.Background(), "weir", "", "nsqlookupd", "--tcp-address="+tcp, "--http-address=127.0.0.1:0")
	if code != 1 || !strings.Contains(stderr, "nsqlookupd: --tcp-address: listen") {
		t.Errorf("a second one: code %d, %q", code, stderr)
	}
	stop()
	if code := <-codeC; code != 0 {
		t.Errorf("code %d", code)
	}
}

func TestAFailedStartExitsWithCode1(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	code, _, stderr := run(context.Background(), "weir", "", "serve", "--data-path="+t.TempDir(), "--log-level=error", "--discovery-tcp-address=",
		"--tcp-address="+taken.Addr().String())
	if code != 1 || !strings.Contains(stderr, "weir serve: --tcp-address: listen") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("code %d, %q", code, stderr)
	}
}

// freeAddress returns a loopback address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// waitUntilListed waits until a lookup service knows who has a topic.
func waitUntilListed(t *testing.T, lookup, topic string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://" + lookup + "/lookup?topic=" + topic)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if strings.Contains(string(text), `"broadcast_address":"127.0.0.1"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("lookup of %s: %s", topic, text)
		}
	}
}

func waitUntilOpen(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestPackagedSettingsAreAccepted(t *testing.T) {
	var n config.Node
	none := func(string) (string, bool) { return "", false }
	if err := config.Serve(&n).Parse([]string{"--config=../../packaging/weir.toml"}, none); err != nil {
		t.Fatal(err)
	}
	if n.Options.DataPath != "/var/lib/weir" {
		t.Errorf("data in %s, the unit's StateDirectory is /var/lib/weir", n.Options.DataPath)
	}
}
