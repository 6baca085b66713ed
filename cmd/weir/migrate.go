package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/migrate"
)

const importUsage = `usage: weir import nsq [--data-path=DIR] [--dry-run] NSQD-DIR

Brings the topics, channels and messages of a stopped nsqd 1.3.0 from its data directory NSQD-DIR into a new data directory of
Weir: by default the same directory, so that the nsqd's replacement starts on it; nsqd's files are kept in its folder
nsq-imported. An import that was cut short can be run again: nothing is lost, nothing is there twice.
Exit code 1 also if all is imported but for damaged places, which are listed.`

const exportUsage = `usage: weir export nsq [--data-path=DIR] NSQD-DIR

Writes the topics, channels and unfinished messages of a stopped node as the data directory of an nsqd 1.3.0, in the new or empty
directory NSQD-DIR. Weir's data directory stays as it is.`

// runImport is `weir import`.
func runImport(ctx context.Context, p process) error {
	var o migrate.Options
	set := config.NewSet("weir import nsq")
	set.String(&o.Weir, "data-path", "DIR", "Weir's data directory, new (default: NSQD-DIR)")
	set.Bool(&o.DryRun, "dry-run", "only read, and say what would be imported")
	if err := parseMigration(p, set, &o, "weir import", importUsage); err != nil {
		return err
	}
	if o.Weir == "" {
		o.Weir = o.NSQ
	}
	report, err := migrate.Import(ctx, o)
	if err != nil {
		return fmt.Errorf("weir import nsq: %w", err)
	}
	verb := "imported"
	if o.DryRun {
		verb = "to import"
	}
	showMoved(p, verb, report)
	if report.Damages > 0 {
		return fmt.Errorf("weir import nsq: %s with %d damaged places, listed above; all else is %s", o.NSQ, report.Damages, verb)
	}
	return nil
}

// runExport is `weir export`.
func runExport(ctx context.Context, p process) error {
	o := migrate.Options{Weir: "./weir-data"}
	set := config.NewSet("weir export nsq")
	set.String(&o.Weir, "data-path", "DIR", "Weir's data directory")
	if err := parseMigration(p, set, &o, "weir export", exportUsage); err != nil {
		return err
	}
	report, err := migrate.Export(ctx, o)
	if err != nil {
		return fmt.Errorf("weir export nsq: %w", err)
	}
	showMoved(p, "exported", report)
	return nil
}

// parseMigration reads "nsq", flags and nsqd's directory.
func parseMigration(p process, set *config.Set, o *migrate.Options, command, usage string) error {
	if len(p.args) == 0 || p.args[0] != "nsq" {
		if len(p.args) > 0 && (p.args[0] == "--help" || p.args[0] == "-h" || p.args[0] == "help") {
			fmt.Fprintln(p.out, usage)
			return flag.ErrHelp
		}
		return &config.UsageError{Command: command, Where: "the other broker", Problem: "is missing or unknown", Accepts: "nsq"}
	}
	p.args = p.args[1:]
	set.Positional()
	if err := set.Parse(p.args, p.lookupEnv); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printHelp(p.out, set, usage)
		}
		return err
	}
	if len(set.Args()) != 1 {
		return &config.UsageError{Command: command + " nsq", Where: "NSQD-DIR", Problem: "is wanted once, behind the flags",
			Accepts: "a data directory of nsqd"}
	}
	o.NSQ, o.Terminal = set.Args()[0], terminal(p.err)
	o.Logger = slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return nil
}

// showMoved writes what became of each queue.
func showMoved(p process, verb string, r *migrate.Report) {
	var messages, bytes int64
	for _, q := range r.Queues {
		messages, bytes = messages+q.Messages, bytes+q.Bytes
		name, paused := "topic "+q.Topic, ""
		if q.Channel != "" {
			name += ", channel " + q.Channel
		}
		if q.Paused {
			paused = ", paused"
		}
		fmt.Fprintf(p.out, "%s: %d messages, %d bytes%s\n", name, q.Messages, q.Bytes, paused)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(p.out, "note: %s\n", note)
	}
	fmt.Fprintf(p.out, "%s: %d messages, %d bytes\n", verb, messages, bytes)
}
