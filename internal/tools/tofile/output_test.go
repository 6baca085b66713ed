package tofile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fileOptions are options whose files are named t<REV>.log, with a directory for them.
func fileOptions(t *testing.T) *Options {
	o := DefaultOptions()
	o.OutputDir, o.FilenameFormat = t.TempDir(), "<TOPIC><REV>.log"
	return &o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names returns what is in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// unzip returns what can be read of a gzip file, and the error that ended it.
func unzip(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	r, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

func TestEachSyncEndsAGzipMemberSoThatWhatIsFinishedCanBeRead(t *testing.T) {
	o := fileOptions(t)
	o.GZIP = true
	f := &output{o: o, topic: "t"}
	must(t, f.open(time.Now()))
	must(t, f.write([]byte("one")))
	must(t, f.write([]byte("two")))
	must(t, f.sync())
	must(t, f.write(bytes.Repeat([]byte("torn"), 100_000)))
	f.buffer.Flush() // part of a member, as a crash leaves it
	path := filepath.Join(o.OutputDir, "t-000000.log.gz")
	text, err := unzip(path)
	if !strings.HasPrefix(text, "one\ntwo\n") || err == nil {
		t.Errorf("got %q, %v, want what was synced, and an error behind it", text[:min(len(text), 20)], err)
	}
	must(t, f.finish())
	if text, err = unzip(path); err != nil || len(text) != 8+400_001 {
		t.Errorf("got %d bytes, %v", len(text), err)
	}
}

func TestAnEmptyGzipFileIsOneOfGzip(t *testing.T) {
	o := fileOptions(t)
	o.GZIP, o.FilenameFormat = true, "<TOPIC><REV>.gz"
	f := &output{o: o, topic: "t"}
	must(t, f.open(time.Now()))
	must(t, f.finish())
	if text, err := unzip(filepath.Join(o.OutputDir, "t-000000.gz")); text != "" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestRotationBySizeBeginsAnotherRevisionAfterTheLimit(t *testing.T) {
	o := fileOptions(t)
	o.RotateSize = 10
	f := &output{o: o, topic: "t"}
	for range 6 { // 4 bytes each with their newline: 12 are over the limit
		due, err := f.due(time.Now())
		must(t, err)
		if due {
			must(t, f.finish())
			must(t, f.open(time.Now()))
		}
		must(t, f.write([]byte("abc")))
	}
	must(t, f.finish())
	if got := names(t, o.OutputDir); !slices.Equal(got, []string{"t-000000.log", "t-000001.log"}) {
		t.Fatalf("files %v", got)
	}
	for _, name := range names(t, o.OutputDir) {
		if text, _ := os.ReadFile(filepath.Join(o.OutputDir, name)); string(text) != "abc\nabc\nabc\n" {
			t.Errorf("%s holds %q", name, text)
		}
	}
	// Another start passes over those that are full.
	f = &output{o: o, topic: "t"}
	must(t, f.open(time.Now()))
	if f.revision != 2 {
		t.Errorf("a new start writes revision %d", f.revision)
	}
	must(t, f.finish())
}

func TestRotationByIntervalNeverAppendsToAnOlderFile(t *testing.T) {
	o := fileOptions(t)
	o.RotateInterval = time.Minute
	f := &output{o: o, topic: "t"}
	begun := time.Now()
	must(t, f.open(begun))
	if due, _ := f.due(begun.Add(time.Minute)); due {
		t.Error("due after a minute")
	}
	if due, _ := f.due(begun.Add(time.Minute + 1)); !due {
		t.Error("not due after more than a minute")
	}
	must(t, f.finish())
	f = &output{o: o, topic: "t"}
	must(t, f.open(begun))
	must(t, f.finish())
	if got := names(t, o.OutputDir); !slices.Equal(got, []string{"t-000000.log", "t-000001.log"}) {
		t.Errorf("files %v", got)
	}
}

func TestAWorkDirHoldsAFileUntilItIsComplete(t *testing.T) {
	o := fileOptions(t)
	o.WorkDir = filepath.Join(o.OutputDir, "work")
	f := &output{o: o, topic: "t"}
	must(t, f.open(time.Now()))
	must(t, f.write([]byte("one")))
	if got := names(t, o.OutputDir); !slices.Equal(got, []string{"work"}) {
		t.Errorf("before the end: %v", got)
	}
	// Somebody takes the name in the meantime: it is not overwritten.
	must(t, os.WriteFile(filepath.Join(o.OutputDir, "t-000000.log"), []byte("other"), 0o600))
	must(t, f.finish())
	if got := names(t, o.OutputDir); !slices.Equal(got, []string{"t-000000.log", "t-000001.log", "work"}) {
		t.Errorf("files %v", got)
	}
	if got := names(t, o.WorkDir); len(got) != 0 {
		t.Errorf("left in the work directory: %v", got)
	}
	if text, _ := os.ReadFile(filepath.Join(o.OutputDir, "t-000001.log")); string(text) != "one\n" {
		t.Errorf("got %q", text)
	}
}
