package ui

import (
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

var staticImport = regexp.MustCompile(`(?m)^(?:import|export)\b[^"';]*["']([^"']+)["']`)

// TestFirstViewIsPreloaded: the page names every module that main.js imports, directly or not, so that a browser asks for all at
// once and not level by level; and no module that is not there.
func TestFirstViewIsPreloaded(t *testing.T) {
	var reached []string
	var follow func(string)
	follow = func(name string) {
		if slices.Contains(reached, name) {
			return
		}
		reached = append(reached, name)
		for _, m := range staticImport.FindAllStringSubmatch(read(t, name), -1) {
			follow(path.Join(path.Dir(name), m[1]))
		}
	}
	follow("app/main.js")

	var named []string
	for _, m := range regexp.MustCompile(`<link rel="modulepreload" href="__STATIC__([^"]+)">`).FindAllStringSubmatch(read(t, "index.html"), -1) {
		named = append(named, m[1])
	}
	named = append(named, "app/main.js")
	slices.Sort(reached)
	slices.Sort(named)
	if !slices.Equal(reached, named) {
		t.Errorf("index.html preloads %q,\nmain.js imports %q", named, reached)
	}
	for _, p := range paths(t, "app", ".js") {
		if !slices.Contains(reached, p) {
			t.Errorf("%s is imported by nothing that main.js reaches", p)
		}
	}
}
