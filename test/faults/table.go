package main

import (
	"bytes"
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

// table writes the outcomes as Markdown.
func table(outcomes []outcome, long bool) string {
	var b strings.Builder
	b.WriteString("| Fault | Injected | How often | Acknowledged | Lost | Phantom | Duplicated | Result | Took | Command |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range outcomes {
		counts := " | | | | "
		if o.rows > 0 {
			counts = fmt.Sprintf("%d | %d | %d | %d | %d", o.row.Injected, o.row.Acknowledged, o.row.Lost, o.row.Phantom, o.row.Duplicated)
		}
		took := ""
		if o.duration > 0 {
			took = o.duration.Round(time.Second).String()
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | `%s` |\n", o.entry.fault, cell(o.entry.injected), counts, cell(o.verdict()), took, cell(o.entry.command(long)))
	}
	return b.String()
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

// replaceTable puts the table into a file, in the place of the one between its markers; a file without markers becomes the table.
func replaceTable(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	before, rest, found := bytes.Cut(old, []byte(begin+"\n"))
	_, after, closed := bytes.Cut(rest, []byte(end+"\n"))
	if found != closed {
		return fmt.Errorf("%s has only one of the lines %s and %s", path, begin, end)
	}
	if !found {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	return os.WriteFile(path, fmt.Appendf(nil, "%s%s\n%s%s\n%s", before, begin, text, end, after), 0o644)
}
