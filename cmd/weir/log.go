package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

const logUsage = `usage: weir log inspect [--entries] PATH…
       weir log verify PATH…
       weir log repair [--dry-run] PATH…

PATH is a data directory, or the directory of one log in it: DIR/logs/<topic id>-<partition>.

  inspect   show segments and checkpoints; with --entries each entry. Changes nothing; a node may be running
  verify    read everything and check every checksum; exit code 1 if something is damaged. Changes nothing
  repair    make damaged logs usable again: what is intact stays, what is not is listed and given up, and the damaged files
            are kept in the folder damaged of the log. With --dry-run only say what would be lost. The node must be stopped`

// runLog is `weir log`.
func runLog(_ context.Context, p process) error {
	verb := ""
	if len(p.args) > 0 {
		verb, p.args = p.args[0], p.args[1:]
	}
	switch verb {
	case "inspect":
		return runLogInspect(p)
	case "verify":
		return runLogVerify(p)
	case "repair":
		return runLogRepair(p)
	case "-h", "--help", "-help", "help":
		fmt.Fprintln(p.out, logUsage)
		return nil
	}
	return &config.UsageError{Command: "weir log", Where: fmt.Sprintf("verb %q", verb), Problem: "is unknown",
		Accepts: "inspect, verify, repair"}
}

// logDirs reads the arguments of a verb and returns the directories of the logs that they name.
func logDirs(p process, set *config.Set) ([]string, error) {
	set.Positional()
	if err := set.Parse(p.args, p.lookupEnv); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(p.out, logUsage)
		}
		return nil, err
	}
	if len(set.Args()) == 0 {
		return nil, &config.UsageError{Command: "weir log", Where: "PATH", Problem: "is missing",
			Accepts: "a data directory, or the directory of one log in it"}
	}
	var dirs []string
	for _, name := range set.Args() {
		found, err := commitlog.FindLogs(vfs.Disk(), name)
		if err != nil {
			return nil, fmt.Errorf("weir log: %w", err)
		}
		dirs = append(dirs, found...)
	}
	return dirs, nil
}

// runLogInspect is `weir log inspect`.
func runLogInspect(p process) error {
	entries := false
	set := config.NewSet("weir log inspect")
	set.Bool(&entries, "entries", "show each entry")
	dirs, err := logDirs(p, set)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		var show func(string, int64, *record.Entry) error
		if entries {
			file := ""
			show = func(path string, pos int64, e *record.Entry) error {
				if path != file {
					file = path
					fmt.Fprintf(p.out, "entries in %s:\n", file)
				}
				fmt.Fprintf(p.out, "  entry %d at byte %d: %s, offset %d, %d bytes, %s\n", e.Index, pos, kindText(e), e.Base,
					len(e.Payload), timeText(e.Time))
				return nil
			}
		}
		in, err := commitlog.Inspect(vfs.Disk(), dir, show)
		if err != nil {
			return fmt.Errorf("weir log inspect: %w", err)
		}
		showInspection(p.out, in)
	}
	return nil
}

// runLogVerify is `weir log verify`.
func runLogVerify(p process) error {
	dirs, err := logDirs(p, config.NewSet("weir log verify"))
	if err != nil {
		return err
	}
	damaged := 0
	for _, dir := range dirs {
		in, err := commitlog.Inspect(vfs.Disk(), dir, nil)
		if err != nil {
			return fmt.Errorf("weir log verify: %w", err)
		}
		for _, d := range in.Damage {
			damaged++
			fmt.Fprintln(p.out, d)
		}
	}
	if damaged > 0 {
		return fmt.Errorf("weir log verify: %d damaged places in %d logs", damaged, len(dirs))
	}
	fmt.Fprintf(p.out, "%d logs are intact\n", len(dirs))
	return nil
}

// runLogRepair is `weir log repair`.
func runLogRepair(p process) error {
	dryRun := false
	set := config.NewSet("weir log repair")
	set.Bool(&dryRun, "dry-run", "change nothing, only say what would be done and lost")
	dirs, err := logDirs(p, set)
	if err != nil {
		return err
	}
	var refused []error
	for _, dir := range dirs {
		r, err := commitlog.Repair(vfs.Disk(), dir, dryRun)
		if r == nil {
			return fmt.Errorf("weir log repair: %w", err)
		}
		showReport(p.out, r)
		switch {
		case err != nil:
			refused = append(refused, err)
			fmt.Fprintln(p.out, "  not repaired")
		case !r.Damaged():
			fmt.Fprintln(p.out, "  nothing to repair, nothing is changed")
		case dryRun:
			fmt.Fprintln(p.out, "  dry run, nothing is changed")
		default:
			fmt.Fprintf(p.out, "  repaired; the damaged files are kept in %s\n", r.Aside())
		}
	}
	switch len(refused) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("weir log repair: %w", refused[0])
	}
	return fmt.Errorf("weir log repair: %d logs are not repaired; the first: %w", len(refused), refused[0])
}

// showReport writes what a repair found, and what it did about it.
func showReport(w io.Writer, r *commitlog.Report) {
	fmt.Fprintf(w, "%s: %d intact frames in %d segments of %d bytes, entries %d to %d, offsets %d to %d (exclusive)\n", r.Dir, r.Frames,
		r.Segments, r.Bytes, r.First, r.Last, r.Start, r.Next)
	for i := range r.Problems {
		p := &r.Problems[i]
		fmt.Fprintf(w, "  %s, byte %d", p.Path, p.Pos)
		if p.Bytes > 0 {
			fmt.Fprintf(w, ", %d bytes", p.Bytes)
		}
		fmt.Fprintf(w, ": %s\n    lost: %s\n    action: %s\n", p.Reason, lossText(p), p.Action)
	}
}

// lossText says what a problem costs.
func lossText(p *commitlog.Problem) string {
	switch {
	case !p.Loses():
		return "nothing"
	case p.Next <= p.First:
		return fmt.Sprintf("entries %d to %d, no messages", p.FirstIndex, p.LastIndex)
	}
	return fmt.Sprintf("entries %d to %d, offsets %d to %d (exclusive)", p.FirstIndex, p.LastIndex, p.First, p.Next)
}

// showInspection writes what was found in one log.
func showInspection(w io.Writer, in *commitlog.Inspection) {
	fmt.Fprintf(w, "%s: topic id %016x, partition %d, durable up to entry %d\n", in.Dir, in.ID.Topic, in.ID.Partition, in.Durable)
	for i := range in.Segments {
		s := &in.Segments[i]
		fmt.Fprintf(w, "  segment %s: entries %d to %d, offsets %d to %d (exclusive), %d batches, %d controls, %d others, "+
			"%d of %d bytes, last entry %s\n", s.Path[strings.LastIndex(s.Path, "/")+1:], s.Base, s.Last, s.First, s.Next,
			s.Batches, s.Controls, s.Others, s.IntactBytes, s.FileBytes, timeText(s.LastTime))
		if s.Broken != "" {
			fmt.Fprintf(w, "    intact only up to byte %d: %s\n", s.IntactBytes, s.Broken)
		}
	}
	for _, at := range in.Checkpoints {
		fmt.Fprintf(w, "  checkpoint as of entry %d\n", at)
	}
	for _, d := range in.Damage {
		fmt.Fprintf(w, "  damage: %v\n", d)
	}
}

func kindText(e *record.Entry) string {
	switch e.Kind {
	case record.KindBatch:
		return fmt.Sprintf("batch of %d messages", record.Batch(e.Payload).Count())
	case record.KindControl:
		return "control"
	case record.KindCarry:
		return "carry"
	case record.KindRaft:
		return "raft"
	}
	return fmt.Sprintf("kind %d", e.Kind)
}

// timeText writes Unix ns as a time, or nothing's place.
func timeText(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
}
