package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/weirmq/weir/internal/config"
)

// command is one subcommand.
type command struct {
	name    string
	summary string // one line of `weir help`
	nsq     bool   // the name of an NSQ program: also found by the name of the binary
	run     func(ctx context.Context, p process) error
}

// commands lists the subcommands in the order of `weir help`.
func commands() []command {
	return []command{
		{name: "serve", summary: "run a node", run: runServe},
		{name: "nsqd", summary: "run a node with nsqd's flags and defaults", nsq: true, run: runNsqd},
		{name: "nsqlookupd", summary: "tell consumers which nodes have a topic", nsq: true, run: runNsqlookupd},
		{name: "nsqadmin", summary: "show and steer nodes in a browser", nsq: true, run: runNsqadmin},
		{name: "cluster", summary: "show how a cluster does, or make a key for one", run: runCluster},
		{name: "import", summary: "bring a stock nsqd's data directory into Weir", run: runImport},
		{name: "export", summary: "write topics and messages as a stock nsqd's data directory", run: runExport},
		{name: "log", summary: "inspect, verify or repair a data directory", run: runLog},
		{name: "bench", summary: "put load on a broker, and measure", run: runBench},
		{name: "version", summary: "print the version", run: runVersion},
		{name: "to_nsq", summary: "publish the lines of stdin to a topic", nsq: true, run: runToNSQ},
		{name: "nsq_to_file", summary: "append topics' messages to files", nsq: true, run: runNSQToFile},
		{name: "nsq_to_http", summary: "make an HTTP request of each message of a topic", nsq: true, run: runNSQToHTTP},
		{name: "nsq_to_nsq", summary: "publish topics' messages to other nsqds", nsq: true, run: runNSQToNSQ},
		{name: "nsq_tail", summary: "show topics' messages", nsq: true, run: runNSQTail},
		{name: "nsq_stat", summary: "show a channel's counters and rates", nsq: true, run: runNSQStat},
	}
}

// dispatch runs the subcommand that the name of the binary or the first argument asks for.
func dispatch(ctx context.Context, binary string, p process) error {
	program := strings.TrimSuffix(filepath.Base(binary), ".exe")
	for _, c := range commands() {
		if c.nsq && c.name == program {
			return c.run(ctx, p)
		}
	}
	name := "help"
	if len(p.args) > 0 {
		name, p.args = p.args[0], p.args[1:]
	}
	switch name {
	case "help", "-h", "-help", "--help":
		return runHelp(ctx, p)
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, p)
		}
	}
	return &config.UsageError{Command: "weir", Where: fmt.Sprintf("subcommand %q", name), Problem: "is unknown",
		Accepts: commandNames()}
}

func commandNames() string {
	names := []string{"help"}
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// runHelp is `weir help [SUBCOMMAND]`.
func runHelp(ctx context.Context, p process) error {
	if len(p.args) > 0 {
		name := p.args[0]
		p.args = []string{name, "--help"}
		return dispatch(ctx, "weir", p)
	}
	fmt.Fprint(p.out, "Weir is a message broker: NSQ's simplicity with Kafka's guarantees, in one binary.\n\n"+
		"usage: weir SUBCOMMAND [--setting=value …]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(p.out, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprint(p.out, "\n`weir help SUBCOMMAND` lists its settings. Linked under the name of an NSQ program,\n"+
		"the binary is that program.\n")
	return nil
}

// parse reads a subcommand's settings; asked for help, it prints it and returns flag.ErrHelp.
func parse(p process, set *config.Set, usage string) error {
	err := set.Parse(p.args, p.lookupEnv)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(p.out, set, usage)
	}
	return err
}

func printHelp(w io.Writer, set *config.Set, usage string) {
	fmt.Fprintln(w, usage)
	set.Help(w)
	set.HelpPlaces(w)
}
