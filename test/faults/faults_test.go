package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// TestEveryEntryIsATestThatReports looks in the packages that the menu names for the tests, and for the entry's name in their sources.
func TestEveryEntryIsATestThatReports(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range menu {
		if seen[e.fault] {
			t.Errorf("%q is in the menu twice", e.fault)
		}
		seen[e.fault] = true
		fields := strings.Fields(e.test)
		source := sources(t, filepath.Join("..", "..", fields[len(fields)-1]))
		if !strings.Contains(source, `"`+e.fault+`"`) {
			t.Errorf("no test in %s reports %q", fields[len(fields)-1], e.fault)
		}
		pattern := strings.Trim(regexp.MustCompile(`-run ('[^']+'|\S+)`).FindStringSubmatch(e.test)[1], "'")
		for name := range strings.SplitSeq(pattern, "|") {
			name, _, _ = strings.Cut(name, "/")
			if !strings.Contains(source, "func "+strings.Trim(name, "^$")+"(") {
				t.Errorf("%s has no test %s", fields[len(fields)-1], name)
			}
		}
		if size := regexp.MustCompile(`WEIR_\w+`).FindAllString(e.short+e.long, -1); len(size) > 0 {
			for _, variable := range size {
				if !strings.Contains(source, variable) {
					t.Errorf("%q: nothing in %s reads %s", e.fault, fields[len(fields)-1], variable)
				}
			}
		}
	}
}

func sources(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		all.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestTheTableCountsAndJudges(t *testing.T) {
	report := filepath.Join(t.TempDir(), "rows")
	lines := `{"fault":"a","injected":3,"acknowledged":10,"duplicated":1,"note":"cut: 1"}
{"fault":"b","injected":1,"acknowledged":5,"lost":1}
{"fault":"a","injected":4,"acknowledged":20}
`
	if err := os.WriteFile(report, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := reported([]entry{{fault: "a", injected: "x|y", test: "./p"}, {fault: "b"}, {fault: "c"}}, report)
	if err != nil {
		t.Fatal(err)
	}
	text := table(all, false)
	for _, want := range []string{
		"| a | x\\|y | 7 | 30 | 0 | 0 | 1 | held; cut: 1 |  | `go test -count=1 ./p` |\n",
		"| 1 | 5 | 1 | 0 | 0 | FAILED: promise broken |", "| c |  |  | | | |  | not run |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if all[0].failed(true) || !all[1].failed(false) || all[2].failed(false) || !all[2].failed(true) {
		t.Errorf("judged %+v", all)
	}
	if bad := (outcome{rows: 1, err: errors.New("exit status 1"), row: faultreport.Row{}}); !bad.failed(false) {
		t.Error("a test that failed passes")
	}
}

func TestAPageKeepsTheLinesOfEntriesThatWereNotRun(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	menu := []entry{{fault: "a"}, {fault: "b"}, {fault: "c"}}
	ran := []outcome{{entry: menu[1], rows: 1, row: faultreport.Row{Injected: 7}}}
	write("# Title\n" + begin + "\n" + head + "| c | x | 3 |\n| b | x | 4 |\n| gone | x | 5 |\n" + end + "\nrest\n")
	for range 2 {
		if err := updatePage(page, menu, ran, false); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(page)
		want := "# Title\n" + begin + "\n" + head + ran[0].line(false) + "| c | x | 3 |\n" + end + "\nrest\n"
		if err != nil || string(got) != want {
			t.Errorf("%v, %q, want %q", err, got, want)
		}
	}
	write("# Title\n" + begin + "\nno end\n")
	if err := updatePage(page, menu, ran, false); err == nil {
		t.Error("a page without its second marker was overwritten")
	}
}
