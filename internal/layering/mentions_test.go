package layering

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameTestsThatExist looks for each test that a page of docs/ names as a proof.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	const root = "../.."
	var sources strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			sources.Write(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	name, named := regexp.MustCompile(`\b(Test|Fuzz)[A-Z][A-Za-z0-9]+`), 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range name.FindAllString(string(text), -1) {
			named++
			if !strings.Contains(sources.String(), "func "+test) { // a page may name several by their beginning
				t.Errorf("%s names %s, which does not exist", filepath.Base(page), test)
			}
		}
	}
	if named == 0 {
		t.Error("no page names a test: nothing is tested")
	}
}
