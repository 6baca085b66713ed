package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// The lines of a Markdown file between which the table stands.
const (
	begin = "<!-- fault table: written by make faults -->"
	end   = "<!-- end of fault table -->"
)

const head = "| Fault | Injected | How often | Acknowledged | Lost | Phantom | Duplicated | Result | Took | Command |\n" +
	"|---|---|---|---|---|---|---|---|---|---|\n"

// table writes the outcomes as Markdown.
func table(outcomes []outcome, long bool) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range outcomes {
		b.WriteString(outcomes[i].line(long))
	}
	return b.String()
}

// line is the outcome's line of the table.
func (o *outcome) line(long bool) string {
	counts := " | | | | "
	if o.rows > 0 {
		counts = fmt.Sprintf("%d | %d | %d | %d | %d", o.row.Injected, o.row.Acknowledged, o.row.Lost, o.row.Phantom, o.row.Duplicated)
	}
	took := ""
	if o.duration > 0 {
		took = o.duration.Round(time.Second).String()
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | `%s` |\n", o.entry.fault, cell(o.entry.injected), counts, cell(o.verdict()), took, cell(o.entry.command(long)))
}

// cell keeps what it is given from ending a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// verdict is the outcome in words.
func (o *outcome) verdict() string {
	switch {
	case o.err != nil:
		return "FAILED: " + o.err.Error()
	case o.row.Lost+o.row.Phantom > 0:
		return "FAILED: promise broken"
	case o.rows == 0:
		return "not run"
	case o.row.Note != "":
		return "held; " + o.row.Note
	default:
		return "held"
	}
}

// updatePage puts the outcomes into a file's table, the one between the markers, in the order of the menu. Lines of entries that
// are not among the outcomes stay as they are; those of faults that the menu no longer has go.
func updatePage(path string, menu []entry, outcomes []outcome, long bool) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), begin+"\n")
	old, after, closed := strings.Cut(rest, end+"\n")
	if !found || !closed {
		return fmt.Errorf("%s has no table between the lines %s and %s", path, begin, end)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(old) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| ") {
			lines[strings.TrimPrefix(cells[0], "| ")] = line
		}
	}
	for i := range outcomes {
		lines[outcomes[i].entry.fault] = outcomes[i].line(long)
	}
	var table strings.Builder
	table.WriteString(head)
	for _, e := range menu {
		table.WriteString(lines[e.fault])
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+table.String()+end+"\n"+after), 0o644)
}
