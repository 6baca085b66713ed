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

// TestPageTellsWhichFlagsExist holds docs/nsq-compatibility.md against the programs: Weir's knows every flag of the page, and the page has
// every flag of the stock one.
func TestPageTellsWhichFlagsExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/nsq-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"nsqd", "nsqlookupd", "nsqadmin", "to_nsq", "nsq_to_file", "nsq_to_http", "nsq_to_nsq", "nsq_tail", "nsq_stat"} {
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
			if !slices.Contains(known, flag) {
				t.Errorf("%s --%s: the page says %q, weir does not know it", program, flag, verdict)
			}
			if !slices.Contains([]string{"same", "better", "accepted"}, verdict) {
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

// The forms of a command and of an endpoint in the tables of docs/nsq-compatibility.md, and of the words in its first column.
var (
	rowWords = regexp.MustCompile("(?m)^\\| (`[^|]+) \\| ([a-z–]+ ?[a-z]*) \\|")
	word     = regexp.MustCompile("`([^`]+)`")
)

// rows returns the words of a table's first column, with their verdicts, from a heading on.
func rows(t *testing.T, heading string) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/nsq-compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## "+heading+"\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	if !found {
		t.Fatalf("the page has no section %s", heading)
	}
	all := map[string]string{}
	for _, row := range rowWords.FindAllStringSubmatch(section, -1) {
		for _, w := range word.FindAllStringSubmatch(row[1], -1) {
			all[w[1]] = row[2]
		}
	}
	return all
}

// TestPageTellsWhichCommandsExist sends each command of the page alone to both servers: neither may call it unknown.
func TestPageTellsWhichCommandsExist(t *testing.T) {
	commands := rows(t, "Commands of the TCP protocol")
	servers := startPair(t)
	for _, want := range []string{"IDENTIFY", "AUTH", "PUB", "MPUB", "DPUB", "SUB", "RDY", "FIN", "REQ", "TOUCH", "CLS", "NOP"} {
		if commands[want] == "" {
			t.Errorf("the page does not list %s", want)
		}
		for _, s := range []*server{servers.stock, servers.weir} {
			c := newClient(s, "t", true)
			c.connect("").send(want + "\n").hangUp().end()
			if text := strings.Join(c.lines, "\n"); strings.Contains(text, "invalid command") {
				t.Errorf("%s does not know %s: %s", s.name, want, text)
			}
		}
	}
}

// TestPageTellsWhichEndpointsExist asks both servers for each endpoint of the page.
func TestPageTellsWhichEndpointsExist(t *testing.T) {
	servers := startPair(t)
	listed := 0
	method := ""
	for endpoint, verdict := range rows(t, "HTTP API of nsqd") {
		if m, path, ok := strings.Cut(endpoint, " "); ok {
			method, endpoint = m, path
		} else {
			method = "POST" // of a row that goes on
		}
		if !strings.HasPrefix(endpoint, "/") {
			continue // TLS_REQUIRED is no path
		}
		listed++
		path := strings.NewReplacer(":opt", "log_level", "…", "cmdline").Replace(endpoint)
		for _, s := range []*server{servers.stock, servers.weir} {
			c := newClient(s, "t", true)
			c.request(method, path, "")
			missing := slices.ContainsFunc(c.lines, func(line string) bool {
				return strings.Contains(line, `"NOT_FOUND"`) || strings.Contains(line, "METHOD_NOT_ALLOWED")
			})
			if own := verdict == "–" && s == servers.stock; c.err != nil || missing != own {
				t.Errorf("%s: %s %s, which the page calls %q: %v\n%s", s.name, method, path, verdict, c.err, strings.Join(c.lines, "\n"))
			}
		}
	}
	if listed < 18 {
		t.Errorf("the page lists %d endpoints only", listed)
	}
}
