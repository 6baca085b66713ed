package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const page = "../../docs/configuration.md"

// updateVariable makes the test below write the page instead of comparing it.
const updateVariable = "WEIR_UPDATE_DOCS"

// table writes a command's settings as the page shows them.
func (s *Set) table() string {
	var b strings.Builder
	group := ""
	for _, st := range s.settings {
		if st.group != group {
			group = st.group
			fmt.Fprintf(&b, "\n**%s**\n\n| Flag | Default | Meaning |\n|---|---|---|\n", group)
		}
		def := st.def
		if def != "" {
			def = "`" + def + "`"
		}
		name := "--" + st.name
		if st.placeholder != "" {
			name += "=" + st.placeholder
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(name, "|", "\\|"), def, strings.ReplaceAll(st.usage, "|", "\\|"))
	}
	return b.String() + "\n"
}

func TestConfigurationPageListsEverySetting(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for _, s := range []*Set{Serve(new(Node)), Nsqd(new(Node)), Nsqlookupd(new(Lookup)), Nsqadmin(new(Admin))} {
		begin := "<!-- settings of " + s.command + " -->\n"
		before, rest, ok := strings.Cut(want, begin)
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		if !ok || !ended {
			t.Fatalf("%s lacks the place for the settings of %s", page, s.command)
		}
		want = before + begin + s.table() + "<!-- end -->" + after
	}
	if want == string(text) {
		return
	}
	if os.Getenv(updateVariable) == "" {
		t.Fatalf("%s is not what the settings are; %s=1 go test ./internal/config writes it", page, updateVariable)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
