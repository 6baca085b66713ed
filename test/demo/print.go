package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// print writes the table and returns whether both channels have every line and nothing else.
func (d *demo) print() (ok bool, err error) {
	archived, err := readFiles(d.archiveDir())
	if err != nil {
		return false, err
	}
	ok = true
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "channel\tconsumed by\tsent\treceived\tlost\tdelivered again\tnever sent")
	for _, c := range []struct {
		name, by string
		got      lineCounts
	}{{fileChannel, "weir nsq_to_file", archived}, {programChannel, "go-nsq", d.consumer.counts()}} {
		o := compare(d.lines, c.got)
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", c.name, c.by, d.total, o.received, o.lost, o.again, o.foreign)
		if o.lost > 0 || o.foreign > 0 {
			ok = false
			defer fmt.Printf("for example in %s: %q\n", c.name, o.example)
		}
	}
	fmt.Printf("\nkilled %d times with kill -9\n", d.kills)
	return ok, t.Flush()
}

// progress shows one line that changes, on a terminal; elsewhere only its notes, and an update now and then.
type progress struct {
	out      *os.File
	terminal bool
	last     time.Time
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, last: time.Now()}
}

// update replaces the line.
func (p *progress) update(format string, args ...any) {
	every := 2 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K"+format, args...)
	} else {
		fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// note writes a line that stays.
func (p *progress) note(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// end clears the line.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
