package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// paths returns the files below dir whose names end so.
func paths(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var all []string
	err := fs.WalkDir(Files(), dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, suffix) {
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestVendoredFilesAreLocked(t *testing.T) {
	var lock []struct{ File, License, SHA256 string }
	if err := json.Unmarshal([]byte(read(t, "vendor/lock.json")), &lock); err != nil {
		t.Fatal(err)
	}
	locked := map[string]bool{"vendor/lock.json": true, "vendor/README.md": true}
	for _, l := range lock {
		locked["vendor/"+l.File] = true
		sum := sha256.Sum256([]byte(read(t, "vendor/"+l.File)))
		if got := hex.EncodeToString(sum[:]); got != l.SHA256 {
			t.Errorf("vendor/%s has hash %s, locked is %s", l.File, got, l.SHA256)
		}
		if l.License != "MIT" && l.License != "Apache-2.0" {
			t.Errorf("vendor/%s: licence %q was never looked at", l.File, l.License)
		}
	}
	for _, p := range paths(t, "vendor", "") {
		if !locked[p] && !strings.HasSuffix(p, ".d.mts") {
			t.Errorf("%s is not in the lock file", p)
		}
	}
}

var (
	inlineCode  = regexp.MustCompile(`(?i)<script(?:\s+type="[a-z]+")?\s*>|<style|\son[a-z]+\s*=|\sstyle\s*=|javascript:`)
	elsewhere   = regexp.MustCompile(`(?i)(?:https?:)?//[a-z]|@import|url\(`)
	parsedAsXML = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser`)
)

// TestPageNeedsNothingInline keeps the page within its Content-Security-Policy.
func TestPageNeedsNothingInline(t *testing.T) {
	page := read(t, "index.html")
	if found := inlineCode.FindString(page); found != "" {
		t.Errorf("index.html has %q", found)
	}
	if found := elsewhere.FindString(page); found != "" {
		t.Errorf("index.html has %q", found)
	}
	for _, p := range paths(t, "style", ".css") {
		if found := elsewhere.FindString(read(t, p)); found != "" {
			t.Errorf("%s has %q", p, found)
		}
	}
}

// TestNoTextBecomesMarkup: what comes from outside is drawn as text nodes, so nothing may parse text as markup or as a program.
func TestNoTextBecomesMarkup(t *testing.T) {
	for _, p := range paths(t, "app", ".js") {
		if found := parsedAsXML.FindString(read(t, p)); found != "" {
			t.Errorf("%s has %q", p, found)
		}
	}
}

var (
	dynamicImport = regexp.MustCompile(`=> import\("([^"]+)"\)`)
	moduleLink    = regexp.MustCompile(`<link rel="modulepreload" href="__STATIC__([^"]+)">`)
)

// reach returns the modules that a module imports, itself included, directly or not; with later, also what is loaded when it is
// first needed.
func reach(t *testing.T, from string, later bool) []string {
	t.Helper()
	var reached []string
	var follow func(string)
	follow = func(name string) {
		if slices.Contains(reached, name) {
			return
		}
		reached = append(reached, name)
		text := read(t, name)
		imports := staticImport.FindAllStringSubmatch(text, -1)
		if later {
			imports = append(imports, dynamicImport.FindAllStringSubmatch(text, -1)...)
		}
		for _, m := range imports {
			follow(path.Join(path.Dir(name), m[1]))
		}
	}
	follow(from)
	slices.Sort(reached)
	return reached
}

var staticImport = regexp.MustCompile(`(?m)^(?:import|export)\b[^"';\n]*\bfrom\s*"([^"]+)"`)

// TestFirstViewIsPreloaded: the page names every module that main.js imports, directly or not, so that a browser asks for all at
// once and not level by level; and no module that is not there.
func TestFirstViewIsPreloaded(t *testing.T) {
	reached := reach(t, "app/main.js", false)
	var named []string
	for _, m := range moduleLink.FindAllStringSubmatch(read(t, "index.html"), -1) {
		named = append(named, m[1])
	}
	named = append(named, "app/main.js")
	slices.Sort(named)
	if !slices.Equal(reached, named) {
		t.Errorf("index.html preloads %q,\nmain.js imports %q", named, reached)
	}
}

// TestNoModuleIsForgotten: every module is imported by another, or has types only.
func TestNoModuleIsForgotten(t *testing.T) {
	reached := reach(t, "app/main.js", true)
	for _, p := range paths(t, "app", ".js") {
		onlyTypes := strings.HasSuffix(read(t, p), "\nexport {};\n")
		if !onlyTypes && !slices.Contains(reached, p) {
			t.Errorf("%s is imported by nothing that main.js reaches", p)
		}
	}
}

// firstViewLimitBytes bounds what a browser loads until the overview is drawn, charts included.
const firstViewLimitBytes = 80 << 10

func TestFirstViewIsSmall(t *testing.T) {
	view := append(reach(t, "app/main.js", false), "index.html", "favicon.svg", "vendor/uPlot.js", "vendor/uPlot.css")
	view = append(view, paths(t, "style", ".css")...)
	sum := 0
	for _, name := range view {
		sum += compressedBytes(t, read(t, name))
	}
	t.Logf("the first view is %d bytes compressed, in %d files", sum, len(view))
	if sum > firstViewLimitBytes {
		t.Errorf("the first view is %d bytes compressed, allowed are %d", sum, firstViewLimitBytes)
	}
}

// compressedBytes is the size of a file as it is sent.
func compressedBytes(t *testing.T, text string) int {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Len()
}
