//go:build process

package conformance

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// The forms of a flag in the help of Weir's programs, in that of the stock ones, and in the tables of docs/nsq-compatibility.md.
var (
	weirFlag  = regexp.MustCompile(`(?m)^  --([a-z0-9-]+)`)
	stockFlag = regexp.MustCompile(`(?m)^  -([a-z0-9-]+)`)
	rowFlag   = regexp.MustCompile("(?m)^\\| `--([a-z0-9-]+)` \\| ([a-z ]+) \\|")
)

// TestPageTellsWhichFlagsExist holds docs/nsq-compatibility.md against the programs: a flag is "not yet" exactly if Weir's program does
// not know it, and every flag of the stock program is there.
func TestPageTellsWhichFlagsExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/nsq-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"nsqd", "to_nsq", "nsq_to_file", "nsq_to_http", "nsq_to_nsq", "nsq_tail", "nsq_stat"} {
		_, rest, found := strings.Cut(string(page), "<!-- flags of "+program+" -->")
		table, _, ended := strings.Cut(rest, "<!-- end -->")
		if !found || !ended {
			t.Fatalf("the page has no table for %s", program)
		}
		verdicts := map[string]string{}
		for _, row := range rowFlag.FindAllStringSubmatch(table, -1) {
			verdicts[row[1]] = row[2]
		}
		known := flagsOf(t, weirFlag, weirBinary, program, "--help")
		for flag, verdict := range verdicts {
			if exists := slices.Contains(known, flag); exists != (verdict != "not yet") {
				t.Errorf("%s --%s: the page says %q, weir knows it: %v", program, flag, verdict, exists)
			}
			if !slices.Contains([]string{"same", "better", "accepted", "not yet"}, verdict) {
				t.Errorf("%s --%s: %q is no verdict", program, flag, verdict)
			}
		}
		original, err := proc.Stock(t.TempDir(), program)
		if err != nil {
			t.Fatal(err)
		}
		stock := flagsOf(t, stockFlag, original, "--help")
		if listed := slices.Sorted(maps.Keys(verdicts)); !slices.Equal(listed, stock) {
			t.Errorf("the page lists %q\nstock %s has %q", listed, program, stock)
		}
	}
}

// flagsOf returns the flags that a program's help tells of, sorted.
func flagsOf(t *testing.T, form *regexp.Regexp, program string, args ...string) []string {
	t.Helper()
	help, _ := exec.Command(program, args...).CombinedOutput() // Go's own flag package ends help with an error
	var flags []string
	for _, match := range form.FindAllStringSubmatch(string(help), -1) {
		flags = append(flags, match[1])
	}
	if len(flags) < 5 {
		t.Fatalf("%s %q tells of %d flags:\n%s", program, args, len(flags), help)
	}
	slices.Sort(flags)
	return slices.Compact(flags)
}
