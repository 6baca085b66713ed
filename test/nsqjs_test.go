//go:build process

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/testcert"
)

// nsqjsParts are what test/nsqjs/client.js can show.
var nsqjsParts = []string{"publish", "requeue", "touch", "timeout", "defer", "heartbeat"}

// TestNSQJS has nsqjs, the client for Node, use the real binary through every layer of a connection; over TLS it verifies the broker's
// certificate.
func TestNSQJS(t *testing.T) {
	node := nsqjs(t)
	ca := testcert.NewAuthority(t, "ours")
	pair := ca.Issue(t, testcert.Spec{})
	secure := func(options string) string { return fmt.Sprintf(`{"tls": true, "ca": %q%s}`, ca.File, options) }
	for name, options := range map[string]string{
		"plain":       `{}`,
		"snappy":      `{"snappy": true}`,
		"deflate":     `{"deflate": true, "deflateLevel": 9}`,
		"tls":         secure(``),
		"tls_snappy":  secure(`, "snappy": true`),
		"tls_deflate": secure(`, "deflate": true`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			var flags []string
			if strings.HasPrefix(name, "tls") {
				flags = tlsFlags(pair, httpsAddress(t))
			}
			runNSQJS(t, node, startBroker(t, flags...), options)
		})
	}
}

// nsqjs returns where node is. It needs the packages that "npm ci" puts into test/nsqjs, too; without them the test fails, unless
// WEIR_SKIP_NPM is set.
func nsqjs(t *testing.T) string {
	t.Helper()
	if os.Getenv("WEIR_SKIP_NPM") != "" {
		t.Skip("WEIR_SKIP_NPM is set")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: install Node, or set WEIR_SKIP_NPM=1")
	}
	if _, err := os.Stat("nsqjs/node_modules/nsqjs"); err != nil {
		t.Fatal("nsqjs is missing: run npm ci in test/nsqjs, or set WEIR_SKIP_NPM=1")
	}
	return node
}

// runNSQJS has the script show all of nsqjsParts, with these options of nsqjs.
func runNSQJS(t *testing.T, node string, b *proc.Broker, options string) {
	t.Helper()
	script, err := proc.Start(proc.Spec{Path: node, Args: []string{"client.js", b.TCP(), options}, Dir: "nsqjs"})
	must(t, err)
	t.Cleanup(func() { script.Kill() })
	if err := script.Wait(60 * time.Second); err != nil {
		t.Error(err)
	}
	// It prints one JSON object for each thing that it showed.
	results := map[string]string{}
	for line := range strings.Lines(script.Output()) {
		var r struct{ Name, Error string }
		if json.Unmarshal([]byte(line), &r) == nil && r.Name != "" {
			results[r.Name] = r.Error
		}
	}
	for _, name := range nsqjsParts {
		if text, ran := results[name]; !ran || text != "" {
			t.Errorf("%s: ran %v, %s", name, ran, text)
		}
	}
}
