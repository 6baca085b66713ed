package layering

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	licencePage   = "../../docs/licences.md"
	licenceHeader = "| Module | Version | Licence |\n|---|---|---|\n"
	// updateVariable makes the test write the page instead of comparing it.
	updateVariable = "WEIR_UPDATE_DOCS"
)

// TestEveryLinkedModuleHasALicenceOnThePage asks the go command what is linked into the binary, reads the licences that come with the
// modules, and compares them with docs/licences.md. A licence that is not known to be compatible fails it.
func TestEveryLinkedModuleHasALicenceOnThePage(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}", "./cmd/weir")
	list.Dir, list.Env = "../..", append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	var want strings.Builder
	want.WriteString(licenceHeader)
	modules := 0
	for _, line := range slices.Compact(lines) {
		fields := strings.Split(line, "\t")
		if len(fields) != 3 || fields[1] == "" {
			continue // the standard library, and Weir itself
		}
		modules++
		fmt.Fprintf(&want, "| %s | %s | %s |\n", fields[0], fields[1], licences(t, fields[0], fields[2]))
	}
	if modules < 10 {
		t.Fatalf("only %d modules are linked: nothing is tested", modules)
	}
	text, err := os.ReadFile(licencePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), licenceHeader)
	if !found {
		t.Fatalf("%s has no table", licencePage)
	}
	_, after, _ := strings.Cut(rest, "\n\n")
	page := before + want.String() + "\n" + after
	if os.Getenv(updateVariable) != "" {
		if err := os.WriteFile(licencePage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page != string(text) {
		t.Errorf("%s is not what is linked; %s=1 go test ./internal/layering writes it:\n%s", licencePage, updateVariable, want.String())
	}
}

// licences names what the licence files of a module are, in SPDX's words.
func licences(t *testing.T, module, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[LC][IO][CP][EY][NI]*"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s has no licence: %v", module, err)
		return "?"
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, known := range []struct{ words, without, name string }{
			{"Apache License", "", "Apache-2.0"},
			{"Mozilla Public License", "", "MPL-2.0"},
			{"Permission is hereby granted, free of charge", "", "MIT"},
			{"Neither the name", "", "BSD-3-Clause"},
			{"Redistribution and use in source and binary forms", "Neither the name", "BSD-2-Clause"},
		} {
			flat := strings.Join(strings.Fields(string(text)), " ")
			if strings.Contains(flat, known.words) && (known.without == "" || !strings.Contains(flat, known.without)) {
				names = append(names, known.name)
			}
		}
	}
	if len(names) == 0 {
		t.Errorf("%s: nobody has looked at its licence, %s", module, files)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
