package admin

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestPageAndFilesAreServedBelowTheBasePath(t *testing.T) {
	for _, base := range []string{"/", "/weir", "/a/b/"} {
		s := newServer(t, Options{BasePath: base, Nodes: []string{"127.0.0.1:1"}})
		root := "/" + strings.Trim(base, "/")
		root = strings.TrimSuffix(root, "/") + "/"
		for _, path := range []string{"", "topics", "topics/a%23ephemeral", "topics/a/c", "nodes", "nodes/h:4151", "counter", "lookup"} {
			w := send(s, "GET", root+path, "")
			if w.Code != 200 || !strings.Contains(w.Body.String(), `content="`+root+`"`) {
				t.Errorf("%s%s: %d", root, path, w.Code)
			}
		}
		page := send(s, "GET", root, "").Body.String()
		if strings.Contains(page, "__BASE__") || strings.Contains(page, "__STATIC__") {
			t.Error("a placeholder is left in the page")
		}
		files := regexp.MustCompile(`(?:href|src)="(`+regexp.QuoteMeta(root)+`static/[^"]+)"`).FindAllStringSubmatch(page, -1)
		if len(files) < 4 {
			t.Fatalf("the page names %d files", len(files))
		}
		for _, m := range files {
			w := send(s, "GET", m[1], "")
			if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d, %q", m[1], w.Code, w.Header().Get("Cache-Control"))
			}
		}
		if w := send(s, "GET", root+"static/0000000000000000/app/main.js", ""); w.Code != http.StatusNotFound {
			t.Errorf("file of another build: %d", w.Code)
		}
		if w := send(s, "GET", root+"ping", ""); w.Body.String() != "OK" {
			t.Errorf("ping: %q", w.Body)
		}
	}
}

func TestFilesAreCompressedForThoseWhoSaySo(t *testing.T) {
	s := newServer(t, Options{Nodes: []string{"127.0.0.1:1"}})
	plain := send(s, "GET", "/", "")
	packed := send(s, "GET", "/", "", "Accept-Encoding", "br, gzip;q=0.5")
	if packed.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
		t.Fatalf("encodings %q and %q", packed.Header().Get("Content-Encoding"), plain.Header().Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(z); err != nil || !bytes.Equal(unpacked, plain.Body.Bytes()) {
		t.Errorf("unpacked, it differs: %v", err)
	}
	if w := send(s, "GET", "/", "", "Accept-Encoding", "gzip;q=0"); w.Header().Get("Content-Encoding") != "" {
		t.Error("gzip for a client that refuses it")
	}
	if w := send(s, "GET", "/", "", "If-None-Match", plain.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("asked again: %d", w.Code)
	}
}

// TestFirstViewIsSmall holds the page to 80 KiB, with everything that it names.
func TestFirstViewIsSmall(t *testing.T) {
	s := newServer(t, Options{Nodes: []string{"127.0.0.1:1"}})
	page := send(s, "GET", "/", "")
	total := send(s, "GET", "/", "", "Accept-Encoding", "gzip").Body.Len()
	for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		total += send(s, "GET", m[1], "", "Accept-Encoding", "gzip").Body.Len()
	}
	t.Logf("%d bytes", total)
	if total > 80<<10 {
		t.Errorf("the first view is %d bytes compressed, more than 80 KiB", total)
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	s := newServer(t, Options{Nodes: []string{"127.0.0.1:1"}})
	for _, target := range []string{"/", "/ping", "/api/topics", "/api/v1/session", "/nothing"} {
		h := send(s, "GET", target, "").Header()
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
			"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Cache-Control"} {
			if h.Get(name) == "" {
				t.Errorf("%s lacks %s", target, name)
			}
		}
	}
	if strings.Contains(contentSecurityPolicy, "unsafe") || strings.Contains(contentSecurityPolicy, "*") {
		t.Error("the policy allows what it must not")
	}
}
