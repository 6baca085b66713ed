package version

import (
	"regexp"
	"strings"
	"testing"
)

// nsqadmin and clients parse the version; without this form they refuse the node.
func TestNSQsVersionIsSemantic(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+\+weir\.\d+\.\d+\.\d+$`).MatchString(NSQ) {
		t.Errorf("%q is not a semantic version with build metadata", NSQ)
	}
	if !strings.HasPrefix(NSQ, NSQTool+"+") {
		t.Errorf("tools say %s, daemons %s", NSQTool, NSQ)
	}
	for _, line := range []string{Line(), NSQLine("nsqd")} {
		if !strings.Contains(line, NSQ) || strings.Contains(line, "\n") {
			t.Errorf("got %q", line)
		}
	}
}
