package layering

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// check returns everything in which the packages break the rules.
func check(rules *Rules, packages []*Package) []string {
	var broken []string
	complain := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	for _, p := range packages {
		layer, ok := rules.layerOf(p.Name)
		if !ok {
			complain("package %s has no line in layers.txt", p.Name)
			continue
		}
		if !p.Doc {
			complain("package %s has no package comment", p.Name)
		}
		switch p.Clause {
		case "util", "utils", "common", "helpers", "helper", "types", "misc", "shared", "base":
			complain("package %s is named %s, which says nothing about what is in it", p.Name, p.Clause)
		}
		for imported, where := range p.Imports {
			if why := forbidden(rules, layer, imported); why != "" {
				complain("%s: %s imports %s: %s", where, p.Name, imported, why)
			}
		}
		if slices.Contains(rules.Pure, layer) {
			for _, use := range p.Clock {
				complain("%s: %s is pure and must be told the time", use, p.Name)
			}
		}
	}
	return broken
}

// forbidden says why a package of a layer may not import something, or "".
func forbidden(rules *Rules, layer, imported string) string {
	if own, ok := strings.CutPrefix(imported, Module+"/"); ok {
		below, ok := rules.layerOf(strings.TrimPrefix(own, "internal/"))
		switch {
		case !ok:
			return "it has no line in layers.txt"
		case below != layer && slices.Contains(rules.Doors, layer) && slices.Contains(rules.Doors, below):
			return "doors never import each other"
		case below != layer && !slices.Contains(rules.Layers[layer], below):
			return fmt.Sprintf("layers.txt does not allow %s to import %s", layer, below)
		}
		return ""
	}
	if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
		for module, users := range rules.Extern {
			if imported == module || strings.HasPrefix(imported, module+"/") {
				if slices.Contains(users, layer) {
					return ""
				}
				return fmt.Sprintf("layers.txt does not allow it to import %s", module)
			}
		}
		return "the module has no line in layers.txt"
	}
	if slices.Contains(rules.Pure, layer) && slices.Contains(rules.Impure, imported) {
		return "pure packages have no goroutine, lock, clock or I/O"
	}
	return ""
}

func readRules(t *testing.T) *Rules {
	t.Helper()
	file, err := os.Open("layers.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rules, err := ReadRules(file)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestImportsFollowTheLayers(t *testing.T) {
	packages, err := ReadPackages(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 3 {
		t.Fatalf("only %d packages found: the test looks in the wrong place", len(packages))
	}
	for _, line := range check(readRules(t), packages) {
		t.Error(line)
	}
}

// The rules that DESIGN.md states must not be weakened by editing layers.txt alone.
func TestLayersKeepTheBrokerApartFromStorage(t *testing.T) {
	rules := readRules(t)
	for _, below := range []string{"commitlog", "replica", "nsqtcp", "nsqhttp"} {
		if slices.Contains(rules.Layers["broker"], below) {
			t.Errorf("layers.txt lets broker import %s", below)
		}
	}
	for _, door := range rules.Doors {
		for _, other := range rules.Doors {
			if slices.Contains(rules.Layers[door], other) {
				t.Errorf("layers.txt lets the door %s import the door %s", door, other)
			}
		}
	}
	for _, pure := range []string{"record", "queue", "catalog", "lookup/registry"} {
		if !slices.Contains(rules.Pure, pure) {
			t.Errorf("layers.txt does not call %s pure", pure)
		}
	}
}

func TestEachBrokenRuleIsFound(t *testing.T) {
	rules, err := ReadRules(strings.NewReader(`
layer record:
layer broker: record
layer nsqtcp: broker
layer nsqhttp: broker
extern example.com/lib: nsqhttp
pure record
impure os sync
door nsqtcp nsqhttp
`))
	if err != nil {
		t.Fatal(err)
	}
	imports := func(paths ...string) map[string]string {
		m := map[string]string{}
		for _, p := range paths {
			m[p] = "file.go:1"
		}
		return m
	}
	own := Module + "/internal/"
	for _, c := range []struct {
		name string
		pkg  Package
		want string // part of the complaint; "" for none
	}{
		{"allowed", Package{Name: "broker", Doc: true, Imports: imports(own+"record", "os", "sync")}, ""},
		{"below a package", Package{Name: "nsqhttp/page", Doc: true, Imports: imports(own+"nsqhttp", "example.com/lib/x")}, ""},
		{"upwards", Package{Name: "record", Doc: true, Imports: imports(own + "broker")}, "does not allow record to import broker"},
		{"door to door", Package{Name: "nsqtcp", Doc: true, Imports: imports(own + "nsqhttp")}, "doors never import each other"},
		{"unlisted", Package{Name: "extra", Doc: true}, "has no line"},
		{"unlisted import", Package{Name: "broker", Doc: true, Imports: imports(own + "extra")}, "has no line"},
		{"outside module", Package{Name: "broker", Doc: true, Imports: imports("example.com/lib")}, "does not allow"},
		{"unlisted module", Package{Name: "broker", Doc: true, Imports: imports("example.com/other")}, "module has no line"},
		{"impure", Package{Name: "record", Doc: true, Imports: imports("os")}, "pure packages"},
		{"clock", Package{Name: "record", Doc: true, Clock: []string{"file.go:1: time.Now"}}, "must be told the time"},
		{"no comment", Package{Name: "record"}, "no package comment"},
		{"name", Package{Name: "record/util", Clause: "util", Doc: true}, "says nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(check(rules, []*Package{&c.pkg}), "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLinesOutOfOrderAreRefused(t *testing.T) {
	if _, err := ReadRules(strings.NewReader("layer broker: record\nlayer record:\n")); err == nil {
		t.Error("a package may import one that stands below it")
	}
	if _, err := ReadRules(strings.NewReader("layers broker\n")); err == nil {
		t.Error("an unknown word is accepted")
	}
}
