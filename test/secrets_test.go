//go:build process

package test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/testcert"
)

// The secrets of a node, each of its own kind.
const (
	authSecret    = "authsecret-0123456789-authsecret"
	wrongSecret   = "wrongsecret-0123456789-wrongsecret"
	operatorToken = "operatortoken-0123456789-operatortoken"
	wrongToken    = "wrongtoken-0123456789-wrongtoken"
	pageToken     = "pagetoken-0123456789-pagetoken"
	urlPassword   = "urlpassword-0123456789"
	clusterKey    = "5ec4e7c1a57e44e15ec4e7c1a57e44e15ec4e7c1a57e44e15ec4e7c1a57e44e1"
)

// TestSecretsAreShownNowhere starts a node with every kind of secret, the log at debug, has them all used and abused, and looks for them in
// the log and in everything that an operator may ask.
func TestSecretsAreShownNowhere(t *testing.T) {
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("secret") != authSecret {
			io.WriteString(w, "rubbish for "+r.FormValue("secret"))
			return
		}
		io.WriteString(w, `{"ttl":1,"identity":"tester","authorizations":[{"topic":".*","channels":[".*"],"permissions":["publish","subscribe"]}]}`)
	}))
	defer authority.Close()
	ca := testcert.NewAuthority(t, "ca")
	pair := ca.Issue(t, testcert.Spec{})
	dir := t.TempDir()
	tokens, pageTokens := filepath.Join(dir, "tokens"), filepath.Join(dir, "page")
	must(t, os.WriteFile(tokens, []byte(operatorToken+"\n"), 0o600))
	must(t, os.WriteFile(pageTokens, []byte("ann admin "+pageToken+"\n"), 0o600))
	addresses := map[string]string{}
	for _, name := range []string{"https", "peer", "gossip", "admin", "lookup-tcp", "lookup-http"} {
		address, err := proc.FreeAddress()
		must(t, err)
		addresses[name] = address
	}
	b := newBroker(t, "--log-level=debug", "--tls-cert="+pair.CertFile, "--tls-key="+pair.KeyFile, "--https-address="+addresses["https"],
		"--auth-http-address=http://user:"+urlPassword+"@"+strings.TrimPrefix(authority.URL, "http://")+"/auth?key="+urlPassword,
		"--http-auth-token-file="+tokens, "--http-auth-server", "--admin-address="+addresses["admin"], "--admin-token-file="+pageTokens,
		"--discovery-tcp-address="+addresses["lookup-tcp"], "--discovery-http-address="+addresses["lookup-http"],
		"--join="+addresses["gossip"], "--gossip-address="+addresses["gossip"], "--peer-address="+addresses["peer"], "--cluster-key="+clusterKey)
	b.DataPath = filepath.Join(b.DataPath, "data") // made by the node
	start(t, b)

	with := func(secret string) func(*nsq.Config) { return func(c *nsq.Config) { c.AuthSecret = secret } }
	must(t, tryPublish(t, b.TCP(), "mine", with(authSecret)))
	for _, secret := range []string{wrongSecret, ""} {
		if tryPublish(t, b.TCP(), "mine", with(secret)) == nil {
			t.Errorf("the secret %q opens the node", secret)
		}
	}

	shown := ask(t, b, addresses)
	stop(t, b)
	shown["the log"] = b.Log()
	if !strings.Contains(shown["the log"], "AUTH servers give no usable answer") {
		t.Error("the log does not tell of the refused client: nothing is tested")
	}
	key, err := os.ReadFile(pair.KeyFile)
	must(t, err)
	block, _ := pem.Decode(key)
	raw, err := hex.DecodeString(clusterKey)
	must(t, err)
	for name, secret := range map[string]string{
		"AUTH secret": authSecret, "wrong AUTH secret": wrongSecret, "operator's token": operatorToken, "wrong token": wrongToken,
		"page's token": pageToken, "password of a URL": urlPassword, "cluster key": clusterKey, "cluster key, base64": base64.StdEncoding.EncodeToString(raw),
		"cluster key, printed": strings.Trim(fmt.Sprint(raw), "[]"), "private key": base64.StdEncoding.EncodeToString(block.Bytes)[40:80],
	} {
		for where, text := range shown {
			if strings.Contains(text, secret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secret))) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
	t.Logf("%d answers looked through", len(shown))
	checkModes(t, b.DataPath)
}

// ask collects what a node shows, with every token.
func ask(t *testing.T, b *proc.Broker, addresses map[string]string) map[string]string {
	t.Helper()
	shown := map[string]string{}
	get := func(method, address, path, token, body string) {
		r, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
		must(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		must(t, err)
		var header bytes.Buffer
		answer.Header.Write(&header)
		shown[fmt.Sprintf("the answer to %s %s%s with %.5s…", method, address, path, token)] = header.String() + string(text)
		if path == "/config/auth_http_addresses" && token == operatorToken && answer.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s %s: nothing is tested", path, answer.Status, text)
		}
	}
	paths := []string{"/info", "/stats?format=json", "/stats", "/metrics", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/vars",
		"/v1/node", "/v1/cluster", "/v1/topics", "/v1/history", "/config/", "/config/nonsense"}
	for _, name := range []string{"auth_http_addresses", "http_auth_token_file", "tls_key", "tls_cert", "admin_token_file", "cluster_key", "cluster_key_file", "log_level",
		"nsqlookupd_tcp_addresses", "auth_http_request_method", "join"} {
		paths = append(paths, "/config/"+name)
	}
	for _, token := range []string{"", operatorToken, wrongToken, authSecret, wrongSecret} {
		for _, path := range paths {
			get("GET", b.HTTP(), path, token, "")
		}
		get("POST", b.HTTP(), "/pub?topic=mine", token, "x")
		get("GET", addresses["lookup-http"], "/debug/pprof/cmdline", token, "")
		get("POST", addresses["lookup-http"], "/topic/create?topic=x", token, "")
	}
	for _, token := range []string{"", pageToken, wrongToken} {
		for _, path := range []string{"/", "/api/v1/nodes", "/api/v1/session", "/api/v1/cluster", "/config/nsqlookupd_http_addresses", "/api/topics"} {
			get("GET", addresses["admin"], path, token, "")
		}
		get("POST", addresses["admin"], "/api/v1/session", "", `{"token":`+url.QueryEscape(token)+`}`)
		get("POST", addresses["admin"], "/api/v1/session", "", `{"token":"`+token+`"}`)
	}
	return shown
}

// checkModes sees that what a node writes is for its user alone, whatever the umask.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	files := 0
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %o: others may look", path, mode)
		}
		return nil
	}))
	if files < 5 {
		t.Errorf("only %d files in %s", files, dir)
	}
}
