package admin

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/weirmq/weir/internal/admin/ui"
	"github.com/weirmq/weir/internal/httpdoor"
)

// assets are the page's files, read once. Their path has a hash of them all, so they may be cached for ever; the page itself, which names
// that path, is asked for each time and answered by a 304 if it is the same.
type assets struct {
	base  string // the base path, with a slash at both ends
	dev   fs.FS  // nil, or where files are read from for each request
	build func() *assetSet
}

type assetSet struct {
	static string // path of the files, with a slash at both ends
	page   asset
	files  map[string]asset
}

type asset struct {
	contentType string
	plain, gzip []byte // gzip is nil if it would not be smaller
	etag        string
}

// contentTypes of the files that the page has; what the system's tables say may differ from machine to machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json", ".png": "image/png", ".woff2": "font/woff2",
	".map": "application/json",
}

// newAssets prepares the files; devDir, if not empty, replaces those built in.
func newAssets(basePath, devDir string) *assets {
	a := &assets{base: strings.TrimSuffix(basePath, "/") + "/"}
	if devDir != "" {
		a.dev = os.DirFS(devDir)
		return a
	}
	a.build = sync.OnceValue(func() *assetSet { return newAssetSet(ui.Files(), a.base) })
	return a
}

// set returns the files as they are now.
func (a *assets) set() *assetSet {
	if a.dev != nil {
		return newAssetSet(a.dev, a.base)
	}
	return a.build()
}

// newAssetSet reads and compresses all files. What cannot be read is not there.
func newAssetSet(files fs.FS, base string) *assetSet {
	plain := map[string][]byte{}
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !served(name) {
			return nil
		}
		if text, err := fs.ReadFile(files, name); err == nil {
			plain[name] = text
		}
		return nil
	})
	names := make([]string, 0, len(plain))
	for name := range plain {
		names = append(names, name)
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		fmt.Fprintf(sum, "%s %d\n", name, len(plain[name]))
		sum.Write(plain[name])
	}
	set := &assetSet{files: map[string]asset{}}
	set.static = base + "static/" + hex.EncodeToString(sum.Sum(nil))[:16] + "/"
	page := bytes.ReplaceAll(plain["index.html"], []byte("__BASE__"), []byte(base))
	page = bytes.ReplaceAll(page, []byte("__STATIC__"), []byte(set.static))
	set.page = newAsset("index.html", page)
	for _, name := range names {
		if name != "index.html" {
			set.files[name] = newAsset(name, plain[name])
		}
	}
	return set
}

// served tells whether a file is for browsers: sources of Go and descriptions of types are not.
func served(name string) bool {
	_, known := contentTypes[path.Ext(name)]
	return known || strings.HasSuffix(name, ".LICENSE")
}

func newAsset(name string, plain []byte) asset {
	sum := sha256.Sum256(plain)
	a := asset{plain: plain, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	a.contentType = cmp.Or(contentTypes[path.Ext(name)], mime.TypeByExtension(path.Ext(name)), "text/plain; charset=utf-8")
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level exists
	z.Write(plain)
	z.Close()
	if packed.Len() < len(plain) {
		a.gzip = packed.Bytes()
	}
	return a
}

// servePage answers with the page, which is the same at every address of it.
func (a *assets) servePage(w http.ResponseWriter, r *http.Request) {
	page := a.set().page
	w.Header().Set("Cache-Control", "no-cache")
	page.serve(w, r)
}

// serveFile answers with a file. A path of another build is gone: the page that named it has to be loaded anew.
func (a *assets) serveFile(w http.ResponseWriter, r *http.Request) bool {
	set := a.set()
	hash, name, _ := strings.Cut(r.PathValue("file"), "/")
	file, ok := set.files[name]
	if !ok || a.base+"static/"+hash+"/" != set.static {
		return false
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	file.serve(w, r)
	return true
}

// favicon answers browsers that ask for it unasked.
func (a *assets) favicon(w http.ResponseWriter, r *http.Request) bool {
	file, ok := a.set().files["favicon.svg"]
	if ok {
		w.Header().Set("Cache-Control", "public, max-age=86400")
		file.serve(w, r)
	}
	return ok
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("ETag", a.etag)
	h.Set("Vary", "Accept-Encoding")
	if slices.Contains(strings.Split(r.Header.Get("If-None-Match"), ", "), a.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := a.plain
	if a.gzip != nil && httpdoor.TakesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = a.gzip
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}
