package main

import (
	"context"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/cluster/secret"
)

func TestClusterKeyPrintsAKeyThatANodeTakes(t *testing.T) {
	seen := make(map[string]bool)
	for range 3 {
		code, out, stderr := run(context.Background(), "weir", "", "cluster", "key")
		if code != 0 || stderr != "" || strings.Count(out, "\n") != 1 || seen[out] {
			t.Fatalf("code %d, %q, %q", code, out, stderr)
		}
		seen[out] = true
		if _, err := secret.Parse(out); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"cluster", "cluster nope", "cluster key stray"} {
		if code, _, stderr := run(context.Background(), "weir", "", strings.Fields(args)...); code != 2 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: code %d, %q", args, code, stderr)
		}
	}
}
