package httpdoor

import (
	"slices"
	"testing"
)

func TestTheCommandLineIsShownWithoutValues(t *testing.T) {
	got := withoutValues([]string{"/usr/bin/weir", "serve", "--cluster-key=secret", "--auth-http-address", "http://u:secret@h", "-tls-required"})
	if want := []string{"/usr/bin/weir", "serve", "--cluster-key=…", "--auth-http-address", "…", "-tls-required"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
