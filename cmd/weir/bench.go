package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/load"
	"github.com/weirmq/weir/internal/node"
)

const benchUsage = `usage: weir bench pub|sub|pubsub|latency [flags]     a load that the flags describe
       weir bench run NAME[,NAME…] [flags]            loads that have a name
       weir bench list                                their names
       weir bench scale --over=WHAT --values=N,N,… [--plot=FILE.svg] [flags]
       weir bench null --nsqd-tcp-address=HOST:PORT   a server that does nothing, to measure against

Puts load on a broker that speaks the NSQ protocol, on topics of its own that it deletes at the end.
Exit code 1 if an answer was an error, or a message was lost or came twice.`

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
		for _, l := range load.Named() {
			fmt.Fprintln(p.out, l.Name)
		}
		return nil
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
	if b.embedded {
		stop, err := b.embed(ctx)
		if err != nil {
			return fmt.Errorf("weir bench: start a broker: %w", err)
		}
		defer stop()
	}
	return b.measure(ctx, p, loads, xs)
}

// parseBench reads the command line: what to do, and for run the names of loads.
func parseBench(p process) (*bench, []string, error) {
	b := &bench{load: load.Default(), target: load.Target{TCP: "127.0.0.1:4150", HTTP: "127.0.0.1:4151", Prefix: "weir_bench_"}, runs: 1, sync: "always"}
	set := config.NewSet("weir bench")
	b.set = set
	set.String(&b.target.TCP, "nsqd-tcp-address", "HOST:PORT", "broker to load")
	set.String(&b.target.HTTP, "nsqd-http-address", "HOST:PORT", "its HTTP API, to make and delete topics; empty: they stay")
	set.String(&b.target.Prefix, "topic-prefix", "NAME", "begins the names of all topics")
	set.Bool(&b.embedded, "embedded", "start a broker in this process, on a temporary directory")
	set.String(&b.sync, "sync", "POLICY", "with --embedded: always, os or a duration")
	set.Int(&b.load.Connections, "connections", 1, 20_000, "connections that publish")
	set.Int(&b.load.Window, "window", 1, 100_000, "commands of a connection that may be without an answer")
	set.Int(&b.load.Batch, "batch", 1, 100_000, "messages in a command; more than 1 is MPUB")
	set.Int(&b.load.BodyBytes, "body-size", load.StampBytes, 64<<20, "bytes of a message")
	set.Int(&b.load.Rate, "rate", 0, 100_000_000, "messages a second, by a schedule; 0: as fast as it goes (latency: 10000)")
	set.Int(&b.load.Subscribers, "subscribers", 1, 20_000, "connections that consume, for each channel")
	set.Int(&b.load.Channels, "channels", 1, 10_000, "channels of each topic")
	set.Int(&b.load.Topics, "topics", 1, 10_000, "topics")
	set.Int(&b.messages, "messages", 0, 1<<40, "messages to publish at most; 0: until the duration ends (sub: 400000)")
	set.Duration(&b.load.Duration, "duration", time.Millisecond, time.Hour, "how long to publish at most")
	set.Int(&b.load.Ready, "max-in-flight", 1, 1_000_000, "unfinished messages of a consumer's connection")
	set.Int(&b.load.OutputBufferSize, "output-buffer-size", -1, 64<<20, "what consumers ask for, in bytes; 0: the server's default")
	set.Int(&b.load.OutputBufferTimeout, "output-buffer-timeout", -1, 60_000, "what consumers ask for, in ms; 0: the server's default")
	set.Int(&b.runs, "runs", 1, 1000, "how often to run each load")
	set.Bool(&b.json, "json", "print one line of JSON for each run")
	set.String(&b.over, "over", "WHAT", "scale: what grows: connections, topics, channels or body-size")
	set.String(&b.values, "values", "N,N,…", "scale: its values")
	set.String(&b.plot, "plot", "FILE", "scale: draw an SVG")
	if len(p.args) == 0 || strings.HasPrefix(p.args[0], "-") {
		if len(p.args) > 0 && strings.Contains("-h --help", p.args[0]) {
			printHelp(p.out, set, benchUsage)
			return nil, nil, flag.ErrHelp
		}
		return nil, nil, benchRefusal("what to do", "is missing")
	}
	var names []string
	b.what, p.args = p.args[0], p.args[1:]
	if b.what == "run" && len(p.args) > 0 && !strings.HasPrefix(p.args[0], "-") {
		names, p.args = strings.Split(p.args[0], ","), p.args[1:]
	}
	if err := parse(p, set, benchUsage); err != nil {
		return nil, nil, err
	}
	b.load.Messages = int64(b.messages)
	return b, names, nil
}

func benchRefusal(where, problem string) error {
	return &config.UsageError{Command: "weir bench", Where: where, Problem: problem, Accepts: "pub, sub, pubsub, latency, run, list, scale, null"}
}

// loads returns what to run; for a series, also the values of what grows.
func (b *bench) loads(names []string) (loads []load.Load, xs []float64, err error) {
	l := b.load
	l.Name = b.what
	switch b.what {
	case "pub", "sub", "pubsub":
		l.Kind = load.Kind(b.what)
		if l.Kind == load.Sub && l.Messages == 0 {
			l.Messages, l.Batch, l.Duration = 400_000, max(l.Batch, 200), max(l.Duration, 20*time.Second)
		}
		loads = []load.Load{l}
	case "latency":
		l.Kind = load.PubSub
		if l.Rate == 0 {
			l.Rate = 10_000
		}
		loads = []load.Load{l}
	case "run":
		for _, name := range names {
			named, ok := load.ByName(name)
			if !ok {
				return nil, nil, &config.UsageError{Command: "weir bench run", Where: strconv.Quote(name), Problem: "is unknown", Accepts: "a name of `weir bench list`"}
			}
			loads = append(loads, named)
		}
	case "scale":
		return b.series()
	default:
		return nil, nil, benchRefusal(strconv.Quote(b.what), "is unknown")
	}
	if len(loads) == 0 {
		return nil, nil, &config.UsageError{Command: "weir bench run", Where: "the names", Problem: "are missing", Accepts: "names of `weir bench list`, with commas"}
	}
	for i := range loads {
		if err := loads[i].Validate(); err != nil {
			return nil, nil, usageError("weir bench", err)
		}
	}
	return loads, nil, nil
}

// series returns a load for each value of what grows.
func (b *bench) series() (loads []load.Load, xs []float64, err error) {
	for _, text := range strings.Split(b.values, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, nil, b.set.Refuse("values", "has "+strconv.Quote(text), "numbers, with commas")
		}
		l := b.load
		l.Name = fmt.Sprintf("%s=%d", b.over, n)
		switch b.over {
		case "connections":
			l.Connections = n
		case "topics":
			l.Topics = n
		case "channels":
			l.Kind, l.Channels = load.PubSub, n
		case "body-size":
			l.BodyBytes = n
		default:
			return nil, nil, b.set.Refuse("over", "is missing or unknown", "connections, topics, channels, body-size")
		}
		if err := l.Validate(); err != nil {
			return nil, nil, usageError("weir bench", err)
		}
		loads, xs = append(loads, l), append(xs, float64(n))
	}
	return loads, xs, nil
}

// embed starts a node on a temporary directory, and makes it the target.
func (b *bench) embed(ctx context.Context) (stop func(), err error) {
	o := node.DefaultOptions()
	if o.Store.Sync, err = commitlog.ParseSyncPolicy(b.sync); err != nil {
		return nil, err
	}
	if o.DataPath, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, err
	}
	o.TCPAddress, o.HTTPAddress, o.HTTPSAddress = "127.0.0.1:0", "127.0.0.1:0", ""
	o.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(ctx, o)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(o.DataPath))
	}
	b.target.TCP, b.target.HTTP = n.TCPAddr(), n.HTTPAddr()
	return func() { n.Stop(); os.RemoveAll(o.DataPath) }, nil
}

// measure runs the loads and reports.
func (b *bench) measure(ctx context.Context, p process, loads []load.Load, xs []float64) error {
	var results []*load.Result
	var points []load.Point
	var failed error
	for i, l := range loads {
		for range b.runs {
			r, err := load.Run(ctx, b.target, l, progressLine(terminal(p.err), l.Name))
			if err != nil {
				return fmt.Errorf("weir bench: %s: %w", l.Name, err)
			}
			for _, text := range r.Errors {
				fmt.Fprintf(p.err, "weir bench: %s: %s\n", l.Name, text)
			}
			failed = errors.Join(failed, r.Err())
			results = append(results, r)
			if xs != nil {
				points = append(points, load.Point{X: xs[i], Rate: max(r.PublishRate, r.DeliveryRate)})
			}
			if b.json {
				line, err := json.Marshal(r)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.out, "%s\n", line)
			}
		}
	}
	if !b.json {
		if err := load.WriteTable(p.out, results); err != nil {
			return err
		}
		for _, r := range results {
			load.WriteHistogram(p.out, r)
		}
	}
	if b.plot != "" && xs != nil {
		file, err := os.Create(b.plot)
		if err != nil {
			return err
		}
		if err := errors.Join(load.WritePlot(file, "weir bench scale: messages/s", b.over, points), file.Close()); err != nil {
			return err
		}
	}
	if failed != nil {
		return errors.New("weir bench: some runs failed, see above")
	}
	return nil
}

// progressLine returns what shows a run on a terminal; nil without one.
func progressLine(terminal io.Writer, name string) func(load.Progress) {
	if terminal == nil {
		return nil
	}
	var last load.Progress
	return func(now load.Progress) {
		seconds := (now.Elapsed - last.Elapsed).Seconds()
		fmt.Fprintf(terminal, "\r\x1b[K%s  %4.1f s  %.0f messages/s  %.0f deliveries/s\r", name, now.Elapsed.Seconds(),
			float64(now.Published-last.Published)/seconds, float64(now.Delivered-last.Delivered)/seconds)
		last = now
	}
}
