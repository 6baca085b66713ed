// Package layering checks the shape of the tree: who may import whom, which packages are pure, and that each package says what
// it is. The rules are data (layers.txt); this package reads them and the sources, and its tests do the checking. Nothing
// imports it.
package layering

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Module is the import path of the module, and what the paths of its own packages begin with.
const Module = "github.com/weirmq/weir"

// Rules is layers.txt. Packages are named by their path below internal/; cmd/weir by that.
type Rules struct {
	Layers map[string][]string // package → packages of the module it may import
	Extern map[string][]string // outside module → packages that may import it
	Pure   []string
	Impure []string
	Doors  []string
}

// ReadRules reads layers.txt. An error names the line.
func ReadRules(r io.Reader) (*Rules, error) {
	rules := &Rules{Layers: map[string][]string{}, Extern: map[string][]string{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		name, list, _ := strings.Cut(rest, ":")
		name = strings.TrimSpace(name)
		switch word {
		case "":
		case "layer":
			for _, below := range strings.Fields(list) {
				if _, ok := rules.Layers[below]; !ok {
					return nil, fmt.Errorf("layers.txt:%d: %s may import %s, which is not listed above it", n, name, below)
				}
			}
			rules.Layers[name] = strings.Fields(list)
		case "extern":
			rules.Extern[name] = strings.Fields(list)
		case "pure":
			rules.Pure = strings.Fields(rest)
		case "impure":
			rules.Impure = strings.Fields(rest)
		case "door":
			rules.Doors = strings.Fields(rest)
		default:
			return nil, fmt.Errorf("layers.txt:%d: unknown word %q", n, word)
		}
	}
	return rules, lines.Err()
}

// layerOf returns the name in Layers that a package falls under: its own, or that of the nearest folder above it.
func (r *Rules) layerOf(pkg string) (string, bool) {
	for p := pkg; p != "." && p != ""; p = path.Dir(p) {
		if _, ok := r.Layers[p]; ok {
			return p, true
		}
	}
	return "", false
}

// Package is one package's sources, test files excepted.
type Package struct {
	Name    string // below internal/, or cmd/weir
	Clause  string // of the package statement
	Doc     bool   // some file has a package comment
	Imports map[string]string
	Clock   []string // uses of package time that are more than a type or a unit, as file:line name
}

// ReadPackages parses every package under the module's root that layers.txt speaks of: internal/ and cmd/.
func ReadPackages(root string) ([]*Package, error) {
	found := map[string]*Package{}
	for _, top := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, entry fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata":
				return fs.SkipDir
			case entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
				return nil
			}
			return readFile(found, root, file)
		})
		if err != nil {
			return nil, err
		}
	}
	packages := make([]*Package, 0, len(found))
	for _, p := range found {
		packages = append(packages, p)
	}
	sort.Slice(packages, func(i, j int) bool { return packages[i].Name < packages[j].Name })
	return packages, nil
}

// readFile adds one source file to its package.
func readFile(found map[string]*Package, root, file string) error {
	files := token.NewFileSet()
	source, err := parser.ParseFile(files, file, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	folder, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(filepath.ToSlash(folder), "internal/")
	p := found[name]
	if p == nil {
		p = &Package{Name: name, Clause: source.Name.Name, Imports: map[string]string{}}
		found[name] = p
	}
	p.Doc = p.Doc || source.Doc != nil
	for _, spec := range source.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		p.Imports[imported] = files.Position(spec.Pos()).String()
	}
	ast.Inspect(source, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && from.Name == "time" && from.Obj == nil && readsClock[selector.Sel.Name] {
			p.Clock = append(p.Clock, fmt.Sprintf("%s: time.%s", files.Position(n.Pos()), selector.Sel.Name))
		}
		return true
	})
	return nil
}

// readsClock lists what of package time asks the clock or waits for it.
var readsClock = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true,
	"NewTimer": true, "NewTicker": true, "Timer": true, "Ticker": true, "Local": true, "LoadLocation": true,
}
