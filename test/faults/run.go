package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// outcome is what an entry came to.
type outcome struct {
	entry    entry
	row      faultreport.Row // the sum of what its tests reported
	rows     int             // how many reports that were
	err      error           // the tests failed
	duration time.Duration   // of the run; 0 if nothing was run
}

// failed tells whether a promise was broken. wanted: an entry that reported nothing was not tested, and has failed too.
func (o *outcome) failed(wanted bool) bool {
	return o.err != nil || o.row.Lost+o.row.Phantom > 0 || wanted && o.rows == 0
}

// maxOutput is how much of the end of a failing test's output is shown.
const maxOutput = 16 << 10

// runAll runs the entries one after the other. The output of each goes to a file, which is kept if the entry fails.
func runAll(ctx context.Context, entries []entry, long bool) ([]outcome, error) {
	dir, err := os.MkdirTemp("", "weir-faults-")
	if err != nil {
		return nil, err
	}
	kept := false
	defer func() {
		if !kept {
			os.RemoveAll(dir)
		}
	}()
	var all []outcome
	for i, e := range entries {
		fmt.Printf("[%d/%d] %s\n        %s\n", i+1, len(entries), e.fault, e.command(long))
		o := runOne(ctx, e, long, filepath.Join(dir, fmt.Sprintf("%02d", i+1)))
		all = append(all, o)
		if o.failed(true) {
			kept = true
			fmt.Printf("        FAILED after %v: %s\n        all of its output: %s\n", o.duration.Round(time.Second), o.verdict(), filepath.Join(dir, fmt.Sprintf("%02d.out", i+1)))
		} else {
			fmt.Printf("        ok, %v: injected %d, acknowledged %d, lost %d, phantom %d\n", o.duration.Round(time.Second), o.row.Injected, o.row.Acknowledged, o.row.Lost, o.row.Phantom)
		}
		if ctx.Err() != nil {
			return all, errors.New("interrupted")
		}
	}
	return all, nil
}

// runOne runs one entry; its reports and output go to files that begin with base.
func runOne(ctx context.Context, e entry, long bool, base string) outcome {
	o := outcome{entry: e}
	begun := time.Now()
	// A shell takes the line as a person types it. The group of processes is ended as a whole, tests and their nodes.
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(e.command(long), "go test", "exec go test -v", 1))
	cmd.Env = append(os.Environ(), faultreport.File+"="+base+".rows")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	output, err := os.Create(base + ".out")
	if err != nil {
		o.err = err
		return o
	}
	defer output.Close()
	w := &watched{file: output}
	cmd.Stdout, cmd.Stderr = w, w
	stop := showProgress(begun, w)
	o.err = cmd.Run()
	stop()
	o.duration = time.Since(begun)
	if o.err != nil {
		printEnd(base + ".out")
	}
	rows, err := read(base + ".rows")
	if err != nil {
		o.err = errors.Join(o.err, err)
	}
	o.sum(rows)
	return o
}

// sum adds the reports that are about the outcome's entry.
func (o *outcome) sum(rows []faultreport.Row) {
	for _, row := range rows {
		if row.Fault == o.entry.fault {
			o.rows++
			o.row.Add(row)
		}
	}
}

// reported makes the outcomes of tests that somebody else ran.
func reported(entries []entry, path string) ([]outcome, error) {
	rows, err := read(path)
	if err != nil {
		return nil, err
	}
	var all []outcome
	for _, e := range entries {
		o := outcome{entry: e}
		o.sum(rows)
		all = append(all, o)
	}
	return all, nil
}

// read reads a file of reports; one that does not exist has none.
func read(path string) (rows []faultreport.Row, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(data) {
		var row faultreport.Row
		if err := json.Unmarshal(line, &row); err != nil {
			return rows, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		rows = append(rows, row)
	}
	return rows, err
}

func printEnd(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxOutput {
		f.Seek(-maxOutput, io.SeekEnd)
	}
	io.Copy(os.Stdout, bufio.NewReader(f))
}

// watched keeps a test's output, and in mind how many tests have ended and what runs now.
type watched struct {
	file  *os.File
	ended atomic.Int64
	now   atomic.Pointer[string]
}

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		text := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(text, "--- PASS"):
			w.ended.Add(1)
		case strings.HasPrefix(text, "=== RUN"):
			name := strings.TrimSpace(strings.TrimPrefix(text, "=== RUN"))
			w.now.Store(&name)
		}
	}
	return w.file.Write(p)
}

// showProgress tells twice a second on a terminal, once a minute elsewhere, how far the test is, until it is stopped.
func showProgress(begun time.Time, w *watched) (stop func()) {
	info, err := os.Stdout.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	every, format := time.Minute, "        %v %s%s\n"
	if terminal {
		every, format = 500*time.Millisecond, "\r\033[K        %v %s%s"
	}
	stopC, doneC := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(doneC)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-stopC:
				if terminal {
					fmt.Print("\r\033[K")
				}
				return
			case <-ticker.C:
			}
			now, ended := "", ""
			if name := w.now.Load(); name != nil {
				now = *name
			}
			if n := w.ended.Load(); n > 0 {
				ended = fmt.Sprintf(" (%d ended)", n)
			}
			fmt.Printf(format, time.Since(begun).Round(time.Second), now, ended)
		}
	}()
	return func() { close(stopC); <-doneC }
}
