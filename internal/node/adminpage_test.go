package node

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/admin/access"
)

// withPage are the options of a node on free ports that has an admin page.
func withPage(t *testing.T) Options {
	t.Helper()
	o := DefaultOptions()
	o.DataPath, o.TCPAddress, o.HTTPAddress, o.Admin.Address = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return o
}

func startWithPage(t *testing.T, o Options) *Node {
	t.Helper()
	n, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func page(t *testing.T, n *Node, path, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+n.AdminAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body := make([]byte, 8192)
	count, _ := answer.Body.Read(body)
	return answer.StatusCode, string(body[:count])
}

func TestNodeShowsItselfOnItsAdminPage(t *testing.T) {
	n := startWithPage(t, withPage(t))
	if status, body := page(t, n, "/api/v1/nodes", ""); status != 200 || !strings.Contains(body, `"up":true`) || !strings.Contains(body, `"weir":true`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestAdminPageIsNoWayAroundTokens: where HTTP needs tokens, the page needs a login, and then reaches the node with a token of its own.
func TestAdminPageIsNoWayAroundTokens(t *testing.T) {
	o := withPage(t)
	o.HTTPTokenFile = filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(o.HTTPTokenFile, []byte("operatorstoken-operatorstoken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := startWithPage(t, o); n.AdminAddr() != "" {
		t.Error("a page without login beside an API with tokens")
	}
	o.DataPath = t.TempDir()
	var err error
	if o.Admin.Page.Tokens, err = access.ParseTokens(strings.NewReader("ann admin annstoken-annstoken")); err != nil {
		t.Fatal(err)
	}
	n := startWithPage(t, o)
	if status, _ := page(t, n, "/api/v1/nodes", ""); status != http.StatusUnauthorized {
		t.Errorf("without a login: %d", status)
	}
	if status, body := page(t, n, "/api/v1/nodes", "annstoken-annstoken"); status != 200 || !strings.Contains(body, `"up":true`) {
		t.Errorf("with a login: %d %s", status, body)
	}
}

func TestTakenAdminPortIsNotFatalUnlessItWasAskedFor(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := withPage(t)
	o.Admin.Address, o.Admin.Optional = taken.Addr().String(), true
	if n := startWithPage(t, o); n.AdminAddr() != "" {
		t.Error("a page on a port that is taken")
	}
	o.DataPath, o.Admin.Optional = t.TempDir(), false
	if n, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--admin-address") {
		t.Errorf("%v", err)
		if n != nil {
			n.Stop()
		}
	}
}
