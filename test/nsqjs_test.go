//go:build process

package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// TestNSQJS has nsqjs, the client for Node, use the real binary. It needs node and the packages that "npm ci" puts into test/nsqjs;
// without them the test fails, unless WEIR_SKIP_NPM is set.
func TestNSQJS(t *testing.T) {
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
	b := startBroker(t)
	script, err := proc.Start(proc.Spec{Path: node, Args: []string{"client.js", b.TCP()}, Dir: "nsqjs"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { script.Kill() })
	if err := script.Wait(60 * time.Second); err != nil {
		t.Error(err)
	}
	// The script prints one JSON object for each thing that it showed.
	results := map[string]string{}
	for line := range strings.Lines(script.Output()) {
		var r struct{ Name, Error string }
		if json.Unmarshal([]byte(line), &r) == nil && r.Name != "" {
			results[r.Name] = r.Error
		}
	}
	for _, name := range []string{"publish", "requeue", "touch", "timeout", "defer", "heartbeat"} {
		if text, ran := results[name]; !ran || text != "" {
			t.Errorf("%s: ran %v, %s", name, ran, text)
		}
	}
}
