package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// UsageError is something the user typed that cannot be used. It is one line; a command that meets it exits with code 2.
type UsageError struct {
	Command string // "weir serve"
	Where   string // "--sync", "WEIR_SYNC", "sync in weir.toml"
	Problem string // "does not take \"sometimes\""
	Accepts string // what would have been taken; may be empty
}

// Error returns the one line.
func (e *UsageError) Error() string {
	if e.Accepts == "" {
		return fmt.Sprintf("%s: %s %s", e.Command, e.Where, e.Problem)
	}
	return fmt.Sprintf("%s: %s %s; accepted: %s", e.Command, e.Where, e.Problem, e.Accepts)
}

// Help writes the settings with their defaults, in order of definition, under their groups' headings.
func (s *Set) Help(w io.Writer) {
	group := "\x00"
	for _, st := range s.settings {
		if st.group != group {
			group = st.group
			heading := group
			if heading == "" {
				heading = "Settings"
			}
			fmt.Fprintf(w, "\n%s:\n", heading)
		}
		left := "--" + st.name
		if st.placeholder != "" {
			left += "=" + st.placeholder
		}
		fmt.Fprintf(w, "  %-36s %s\n", left, st.usage+defaultNote(st))
	}
}

// HelpPlaces writes the paragraph that says where settings may stand besides the command line.
func (s *Set) HelpPlaces(w io.Writer) {
	if len(s.settings) == 0 {
		return
	}
	first := s.settings[0]
	if s.byName["config"] == nil {
		fmt.Fprintf(w, "\n--%s can also stand in the environment, as %s; so can the others but --version.\n",
			first.name, EnvPrefix+strings.ToUpper(first.key))
		return
	}
	i := slices.IndexFunc(s.settings, func(st *setting) bool { return st.name != "config" && !st.flagOnly })
	example := s.settings[i]
	fmt.Fprintf(w, "\nA setting can also stand in the environment (--%s is %s; a list has commas) or in the\n"+
		"TOML file (%s). Flags win over the environment, the environment over the file.\n",
		example.name, EnvPrefix+strings.ToUpper(example.key), example.key)
}

// defaultNote says the default, unless it is nothing worth saying.
func defaultNote(st *setting) string {
	switch strings.TrimSpace(st.def) {
	case "", "false":
		return ""
	}
	return " (default " + st.def + ")"
}
