package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/load"
)

const benchUsage = `usage: weir bench pub|sub|pubsub|latency [flags]     a load that the flags describe
       weir bench run NAME[,NAME…] [flags]            loads that have a name
       weir bench list                                their names and what they do
       weir bench scale --over=WHAT --values=N,N,… [--plot=FILE.svg] [flags]
       weir bench null [--nsqd-tcp-address=HOST:PORT]  a server that does nothing, to measure against

Puts load on a broker that speaks the NSQ protocol, on topics of its own that it deletes at the end:

  pub      publish and wait for the answers
  sub      publish a backlog, then measure how fast consumers drain it
  pubsub   publish and consume at once
  latency  publish at a fixed rate, whatever the broker does, and measure the time until delivery
  scale    the same load for each value of one thing that grows: a table, and a picture

Shows its progress on stderr: a line that changes on a terminal, else a line of JSON each second. Then a table, and how the
times are spread. Exit code 1 if a publish was refused, or a message was lost or came that nobody sent; messages that come
twice are counted as redelivered, and are no error. docs/benchmarks.md has examples.`

// benchWords are what `weir bench` can do.
var benchWords = []string{"pub", "sub", "pubsub", "latency", "run", "list", "scale", "null"}

// bench is the command line of `weir bench`.
type bench struct {
	set      *config.Set
	what     string
	load     load.Load
	target   load.Target
	messages int

	json, embedded bool
	sync           string
	runs           int
	over, values   string
	plot           string
}

// runBench is `weir bench`.
func runBench(ctx context.Context, p process) error {
	b, names, err := parseBench(p)
	if err != nil {
		return err
	}
	switch b.what {
	case "list":
		return b.list(p)
	case "null":
		listener, err := net.Listen("tcp", b.target.TCP)
		if err != nil {
			return fmt.Errorf("weir bench null: %w", err)
		}
		return load.Null(ctx, listener)
	}
	loads, xs, err := b.loads(names)
	if err != nil {
		return err
	}
	return b.measure(ctx, p, loads, xs)
}

// parseBench reads the command line: what to do, and for run the names of loads.
func parseBench(p process) (*bench, []string, error) {
	b := &bench{load: load.Default(), target: load.Target{TCP: "127.0.0.1:4150", HTTP: "127.0.0.1:4151", Prefix: "weir_bench_"}, runs: 1, sync: "always"}
	if len(p.args) == 0 || strings.HasPrefix(p.args[0], "-") {
		if len(p.args) > 0 && slices.Contains([]string{"-h", "-help", "--help"}, p.args[0]) {
			b.define()
			printHelp(p.out, b.set, benchUsage)
			return nil, nil, flag.ErrHelp
		}
		return nil, nil, benchRefusal("what to do", "is missing")
	}
	b.what, p.args = p.args[0], p.args[1:]
	if !slices.Contains(benchWords, b.what) {
		return nil, nil, benchRefusal(strconv.Quote(b.what), "is unknown")
	}
	var names []string
	if b.what == "run" && len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
		names, p.args = strings.Split(p.args[0], ","), p.args[1:]
	}
	b.suggest()
	b.define()
	if err := parse(p, b.set, benchUsage); err != nil {
		return nil, nil, err
	}
	b.load.Messages = int64(b.messages)
	return b, names, nil
}

// suggest sets the defaults that make sense for what is to be done.
func (b *bench) suggest() {
	switch b.what {
	case "sub":
		b.messages, b.load.Batch, b.load.Duration = 400_000, 200, 20*time.Second
	case "latency":
		b.load.Rate = 10_000
	case "scale":
		b.load.Connections, b.load.Window = 8, 100
	case "run":
		b.load.Duration = 0 // each load's own
	}
}

// define defines the flags that mean something for what is to be done.
func (b *bench) define() {
	b.set = config.NewSet(strings.TrimSpace("weir bench " + b.what))
	set, free := b.set, b.what != "run" && b.what != "list" && b.what != "null"
	if b.what == "list" {
		return
	}
	set.Group("The broker")
	set.String(&b.target.TCP, "nsqd-tcp-address", "HOST:PORT", "broker to load")
	if b.what == "null" {
		return
	}
	set.String(&b.target.HTTP, "nsqd-http-address", "HOST:PORT", "its HTTP API, to make and delete topics; empty: they stay")
	set.Int(&b.target.PID, "server-pid", 0, 1<<30, "its process on this machine, to tell its memory and CPU time")
	set.Bool(&b.embedded, "embedded", "start a broker for each run, as a process of its own on a temporary directory")
	set.String(&b.sync, "sync", "POLICY", "with --embedded: always, os or a duration")
	set.String(&b.target.Prefix, "topic-prefix", "NAME", "begins the names of all topics")
	set.Group("The load")
	if free {
		set.Int(&b.load.Connections, "connections", 1, 20_000, "connections that publish")
		set.Int(&b.load.Window, "window", 1, 100_000, "commands of a connection that may be without an answer")
		set.Int(&b.load.Batch, "batch", 1, 100_000, "messages in a command; more than 1 is MPUB")
		set.Int(&b.load.BodyBytes, "body-size", load.StampBytes, 64<<20, "bytes of a message")
		set.Int(&b.load.Topics, "topics", 1, 10_000, "topics")
		set.Bool(&b.load.HTTP, "http", "publish by HTTP, POST /pub and /mpub")
		set.Int(&b.load.Rate, "rate", 0, 100_000_000, "messages a second, by a schedule; 0: as fast as it goes")
		set.Int(&b.load.Channels, "channels", 1, 10_000, "channels of each topic")
		set.Int(&b.load.Subscribers, "subscribers", 1, 20_000, "connections that consume, for each channel")
		set.Int(&b.load.Ready, "max-in-flight", 1, 1_000_000, "unfinished messages of a consumer's connection")
		set.Int(&b.load.OutputBufferSize, "output-buffer-size", -1, 64<<20, "what consumers ask for, in bytes; 0: the server's default")
		set.Int(&b.load.OutputBufferTimeout, "output-buffer-timeout", -1, 60_000, "what consumers ask for, in ms; 0: the server's default")
		set.Int(&b.messages, "messages", 0, 1<<40, "messages to publish at most; 0: until the duration ends")
	}
	length := "how long to publish at most"
	if b.what == "run" {
		length += ", instead of each load's own time"
	}
	set.Duration(&b.load.Duration, "duration", time.Millisecond, time.Hour, length)
	if b.what == "scale" || b.what == "" {
		set.Group("A series (scale)")
		set.String(&b.over, "over", "WHAT", "what grows: connections, topics, channels or body-size")
		set.String(&b.values, "values", "N,N,…", "its values")
		set.String(&b.plot, "plot", "FILE", "draw an SVG of throughput and memory")
	}
	set.Group("The report")
	set.Int(&b.runs, "runs", 1, 1000, "how often to run each load")
	set.Bool(&b.json, "json", "print one line of JSON for each run instead of the table")
}

func benchRefusal(where, problem string) error {
	return &config.UsageError{Command: "weir bench", Where: where, Problem: problem, Accepts: strings.Join(benchWords, ", ")}
}

// list prints the loads that have a name.
func (b *bench) list(p process) error {
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, l := range load.Named() {
		fmt.Fprintf(t, "%s\t%s\n", l.Name, l.String())
	}
	return t.Flush()
}

// loads returns what to run; for a series, also the values of what grows.
func (b *bench) loads(names []string) (loads []load.Load, xs []float64, err error) {
	l := b.load
	l.Name = b.what
	switch b.what {
	case "pub", "sub", "pubsub":
		l.Kind = load.Kind(b.what)
		loads = []load.Load{l}
	case "latency":
		l.Kind = load.PubSub
		loads = []load.Load{l}
	case "run":
		if loads, err = b.named(names); err != nil {
			return nil, nil, err
		}
	case "scale":
		if loads, xs, err = b.series(); err != nil {
			return nil, nil, err
		}
	}
	for i := range loads {
		if err := loads[i].Validate(); err != nil {
			return nil, nil, usageError("weir bench "+b.what, err)
		}
	}
	return loads, xs, nil
}

// named returns the loads of these names, with another duration if one was asked for.
func (b *bench) named(names []string) (loads []load.Load, err error) {
	if len(names) == 0 {
		return nil, &config.UsageError{Command: "weir bench run", Where: "the names", Problem: "are missing", Accepts: "names of `weir bench list`, with commas"}
	}
	for _, name := range names {
		l, ok := load.ByName(name)
		if !ok {
			return nil, &config.UsageError{Command: "weir bench run", Where: strconv.Quote(name), Problem: "is unknown", Accepts: "a name of `weir bench list`"}
		}
		if b.load.Duration > 0 {
			l.Duration = b.load.Duration
		}
		loads = append(loads, l)
	}
	return loads, nil
}
