// Command compare measures Weir beside other brokers: the same loads, in turn, on the same machine in the same minutes. It
// prints a Markdown table of medians and their ratios, and keeps each measurement as a line of JSON. README.md says what is
// compared with what, and how.
//
// It starts every server itself, on free ports of the loopback interface with its data in a temporary directory, and ends it;
// a server that is not installed is left out, with a line that says how to install it. Linux only.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	loads, servers string
	rounds         int
	duration       time.Duration
	warmMiB        int
	bin, raw       string
	from           string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var s settings
	flag.StringVar(&s.loads, "loads", "", "names of loads, with commas; none: all")
	flag.StringVar(&s.servers, "servers", "", "names of servers, with commas; none: all that are installed")
	flag.IntVar(&s.rounds, "rounds", 3, "how often to go round")
	flag.DurationVar(&s.duration, "duration", time.Second, "how long each load publishes")
	flag.IntVar(&s.warmMiB, "warm", 2048, "MiB of memory to touch before each load, so that the host backs it; 0: none")
	flag.StringVar(&s.bin, "bin", "bin", "directory of weir, stock/nsqd and peers/nats-server")
	flag.StringVar(&s.raw, "raw", "bin/compare.jsonl", "file for the measurements")
	flag.StringVar(&s.from, "from", "", "measure nothing: report what stands in these files, with commas")
	flag.Usage = usage
	flag.Parse()
	if err := compare(ctx, s, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: compare [flags]; the loads and servers:")
	for _, l := range loads() {
		fmt.Fprintf(os.Stderr, "  %-18s %s\n", l.name, l.what)
	}
	for _, s := range servers("bin") {
		fmt.Fprintf(os.Stderr, "  %s\n", s.name)
	}
	flag.PrintDefaults()
}

// compare goes round and reports.
func compare(ctx context.Context, s settings, out, progress io.Writer) error {
	loads, err := chosen(s.loads)
	if err != nil {
		return err
	}
	bin, err := filepath.Abs(s.bin) // servers run in directories of their own
	if err != nil {
		return err
	}
	list, err := chosenServers(servers(bin), s.servers)
	if err != nil {
		return err
	}
	c := comparison{settings: s, loads: loads, progress: progress}
	if s.from != "" {
		c.servers = list
		return errors.Join(c.read(strings.Split(s.from, ",")), c.report(out))
	}
	raw, err := os.Create(s.raw)
	if err != nil {
		return err
	}
	defer raw.Close()
	c.raw = json.NewEncoder(raw)
	for _, server := range list {
		if why := server.missing(); why != "" {
			fmt.Fprintf(progress, "%s is left out: %s\n", server.name, why)
			continue
		}
		c.servers = append(c.servers, server)
	}
	var failed error
	for round := range s.rounds {
		for _, server := range c.servers {
			if ctx.Err() != nil {
				break
			}
			if err := c.measure(ctx, server, round+1); err != nil {
				fmt.Fprintf(progress, "%s: %v\n", server.name, err)
				failed = errors.Join(failed, fmt.Errorf("%s: %w", server.name, err))
			}
		}
	}
	return errors.Join(failed, c.report(out), raw.Close())
}

// read takes the measurements of earlier runs.
func (c *comparison) read(files []string) error {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			var m measurement
			if err := json.Unmarshal(line, &m); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			c.results = append(c.results, m)
		}
	}
	return nil
}

// comparison is one at work.
type comparison struct {
	settings
	loads    []load
	servers  []server
	progress io.Writer
	raw      *json.Encoder
	results  []measurement
}

// measure puts all loads on one server, and removes what it has stored.
func (c *comparison) measure(ctx context.Context, server server, round int) (err error) {
	dir, err := os.MkdirTemp("", "weir-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began := time.Now()
	running, err := server.start(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	fmt.Fprintf(c.progress, "round %d: %s, started in %.1f s\n", round, server.name, time.Since(began).Seconds())
	for _, l := range c.loads {
		if ctx.Err() != nil {
			return errors.New("stopped")
		}
		if !running.can(l) {
			continue
		}
		if !l.light {
			if err := warm(c.warmMiB); err != nil {
				return fmt.Errorf("touch memory: %w", err)
			}
		}
		d := c.duration
		if l.kind == lat {
			d = max(d, latTime)
		}
		stop := watch(running.pid())
		m, err := running.measure(l, d)
		used := stop()
		m.Server, m.Load, m.Round, m.RSSBytes, m.CPUSeconds = server.name, l.name, round, used.rssBytes, used.cpuSeconds
		if err != nil {
			m.Error = err.Error()
		}
		c.results = append(c.results, m)
		if err := c.raw.Encode(m); err != nil {
			return err
		}
		fmt.Fprintf(c.progress, "  %-18s %10.0f/s  p50 %8.0f µs  p99 %8.0f µs  %s\n", l.name, m.Rate, m.P50, m.P99, m.Error)
	}
	return nil
}
