package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// packageLists names the files in which Debian keeps what each package installed: real text, on every such machine.
const packageLists = "/var/lib/dpkg/info/*.list"

// lineCounts is a multiset of lines.
type lineCounts map[string]int

// gather copies the lines of the sources into one file, leaving out empty ones (NSQ has no empty messages), and counts them.
func gather(file, into string) (lines lineCounts, total int, source string, err error) {
	sources, source := []string{file}, file
	if file == "" {
		if sources, err = filepath.Glob(packageLists); err != nil || len(sources) == 0 {
			return nil, 0, "", errors.Join(fmt.Errorf("no %s on this machine: give a file with -file", packageLists), err)
		}
		source = fmt.Sprintf("%d package lists, %s", len(sources), packageLists)
	}
	out, err := os.Create(into)
	if err != nil {
		return nil, 0, "", err
	}
	defer out.Close()
	w := bufio.NewWriter(out)
	lines = lineCounts{}
	for _, path := range sources {
		n, err := eachLine(path, func(line string) error {
			lines[line]++
			_, err := w.WriteString(line + "\n")
			return err
		})
		if err != nil {
			return nil, 0, "", err
		}
		total += n
	}
	return lines, total, source, w.Flush()
}

// eachLine calls fn for the lines of a file that are not empty, and returns how many there were.
func eachLine(path string, fn func(string) error) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("read %s: %w", path, err)
		}
		last := err == io.EOF
		if len(line) > 0 && line[len(line)-1] == '\n' {
			line = line[:len(line)-1]
		}
		if line != "" {
			n++
			if err := fn(line); err != nil {
				return n, err
			}
		}
		if last {
			return n, nil
		}
	}
}

// readFiles counts the lines of all files in a directory.
func readFiles(dir string) (lineCounts, error) {
	lines := lineCounts{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		_, err := eachLine(filepath.Join(dir, e.Name()), func(line string) error { lines[line]++; return nil })
		if err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// outcome compares what a channel has with what was sent.
type outcome struct {
	received int // deliveries
	lost     int // sent lines that are missing
	again    int // deliveries beyond what was sent
	foreign  int // lines that were never sent
	example  string
}

func compare(sent, got lineCounts) outcome {
	var o outcome
	for line, n := range sent {
		if missing := n - got[line]; missing > 0 {
			o.lost += missing
			o.example = line
		}
	}
	for line, n := range got {
		o.received += n
		switch {
		case sent[line] == 0:
			o.foreign += n
			o.example = line
		case n > sent[line]:
			o.again += n - sent[line]
		}
	}
	return o
}
