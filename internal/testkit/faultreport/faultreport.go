// Package faultreport carries what a test of the fault menu counted to the program that runs the menu (test/faults). Only tests
// import it.
package faultreport

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/weirmq/weir/internal/testkit/history"
)

// File is the environment variable that names the file rows are appended to. Without it rows are only logged.
const File = "WEIR_FAULT_REPORT"

// Row is what one test saw. Counts are of this run.
type Row struct {
	// Fault names the entry of the menu (docs/reliability.md).
	Fault string `json:"fault"`
	// Injected counts faults: calls that failed, files damaged, kills, power cuts.
	Injected int `json:"injected"`
	// Acknowledged counts messages that were answered OK; Delivered what consumers got, duplicates included.
	Acknowledged int `json:"acknowledged"`
	Delivered    int `json:"delivered"`
	// Lost counts acknowledged messages that nobody got and nothing reported; Phantom what nobody published; Duplicated
	// deliveries beyond the first.
	Lost       int `json:"lost"`
	Phantom    int `json:"phantom"`
	Duplicated int `json:"duplicated"`
	// Note says in a few words what else was seen: "refused with repair command: 312, cut above durable: 88".
	Note string `json:"note,omitempty"`
}

// Judged is the row of a run that the history checker judged.
func Judged(fault string, injected int, report *history.Report) Row {
	row := Row{
		Fault: fault, Injected: injected, Acknowledged: report.Answered,
		Lost: report.Count(history.Lost), Phantom: report.Count(history.Phantom),
	}
	for _, channel := range report.Channels {
		row.Delivered += channel.Deliveries
		row.Duplicated += channel.Duplicates
	}
	return row
}

// Add adds the counts of another run of the same fault. Notes that differ stand side by side.
func (r *Row) Add(other Row) {
	r.Fault = other.Fault
	r.Injected += other.Injected
	r.Acknowledged += other.Acknowledged
	r.Delivered += other.Delivered
	r.Lost += other.Lost
	r.Phantom += other.Phantom
	r.Duplicated += other.Duplicated
	switch {
	case r.Note == "":
		r.Note = other.Note
	case other.Note != "" && other.Note != r.Note:
		r.Note += "; " + other.Note
	}
}

// Write logs row and appends it, as one line of JSON, to the file that the environment names. It does not judge: whoever counts
// something lost also fails the test.
func Write(t testing.TB, row Row) {
	t.Helper()
	line, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", line)
	path := os.Getenv(File)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
