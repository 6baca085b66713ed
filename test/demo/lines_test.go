package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCompareCountsWhatIsMissingRepeatedAndForeign(t *testing.T) {
	sent := lineCounts{"a": 2, "b": 1, "c": 1}
	for _, test := range []struct {
		name string
		got  lineCounts
		want outcome
	}{
		{"everything", lineCounts{"a": 2, "b": 1, "c": 1}, outcome{received: 4}},
		{"one of two equal lines is missing", lineCounts{"a": 1, "b": 1, "c": 1}, outcome{received: 3, lost: 1, example: "a"}},
		{"repeated, which does not make up for a missing one", lineCounts{"a": 2, "b": 3}, outcome{received: 5, lost: 1, again: 2, example: "c"}},
		{"foreign", lineCounts{"a": 2, "b": 1, "c": 1, "x": 1}, outcome{received: 5, foreign: 1, example: "x"}},
	} {
		if got := compare(sent, test.got); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestGatherLeavesOutEmptyLines(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in")
	if err := os.WriteFile(path, []byte("one\n\ntwo\none\nlast without an end"), 0o644); err != nil {
		t.Fatal(err)
	}
	lines, total, _, err := gather(path, filepath.Join(dir, "out"))
	if err != nil || total != 4 || lines["one"] != 2 || len(lines) != 3 {
		t.Errorf("got %d lines %v, %v", total, lines, err)
	}
	copied, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil || string(copied) != "one\ntwo\none\nlast without an end\n" {
		t.Errorf("copied %q, %v", copied, err)
	}
}
