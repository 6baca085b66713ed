package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

const (
	topic          = "lines"
	fileChannel    = "archive" // weir nsq_to_file
	programChannel = "program" // go-nsq in this process
	// quiet is how long nothing must arrive before a channel that is not complete counts as drained.
	quiet = 15 * time.Second
	// patience bounds the whole run after the last line was sent.
	patience = 2 * time.Minute
)

type options struct {
	file, weir  string
	rate, kills int
	verbose     bool
}

// demo is one run.
type demo struct {
	options
	dir      string // everything lies in it; removed at the end
	broker   *proc.Broker
	total    int // lines to be sent
	source   string
	lines    lineCounts
	consumer *consumer
	sent     atomic.Bool // to_nsq has ended well: everything is acknowledged
	show     *progress
	kills    int // done so far
}

// run plays the demonstration and prints its table. It returns whether both channels have every line and nothing else.
func run(ctx context.Context, o options) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	d := &demo{options: o, dir: dir, show: newProgress(os.Stderr)}
	if err := d.prepare(); err != nil {
		return false, err
	}
	defer func() {
		err = errors.Join(err, d.broker.Kill())
		if err != nil || o.verbose {
			fmt.Fprintf(os.Stderr, "\nlog of the broker:\n%s", d.broker.Log())
		}
	}()
	fmt.Printf("%d lines from %s\n", d.total, d.source)
	archive, err := d.startArchive()
	if err != nil {
		return false, err
	}
	defer archive.Kill()
	if d.consumer, err = consume(d.broker.TCP(), topic, programChannel); err != nil {
		return false, err
	}
	defer d.consumer.stop()
	if err := d.sendAndKill(ctx); err != nil {
		return false, err
	}
	if err := d.drain(ctx); err != nil {
		return false, err
	}
	d.show.end()
	d.consumer.stop()
	if err := archive.Terminate(20 * time.Second); err != nil {
		return false, fmt.Errorf("nsq_to_file: %w", err)
	}
	return d.print()
}

// prepare gathers the lines, builds weir, starts the broker and creates both channels: a channel has what is published after it.
func (d *demo) prepare() (err error) {
	if d.lines, d.total, d.source, err = gather(d.file, filepath.Join(d.dir, "input")); err != nil {
		return err
	}
	if d.weir == "" {
		if d.weir, err = proc.Build(d.dir); err != nil {
			return err
		}
	}
	if d.broker, err = proc.NewBroker(d.weir, filepath.Join(d.dir, "data")); err != nil {
		return err
	}
	if _, err := d.broker.Start(); err != nil {
		return err
	}
	for _, path := range []string{"/topic/create?topic=" + topic,
		"/channel/create?topic=" + topic + "&channel=" + fileChannel,
		"/channel/create?topic=" + topic + "&channel=" + programChannel} {
		resp, err := http.Post("http://"+d.broker.HTTP()+path, "", nil)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("POST %s: %s", path, resp.Status)
		}
	}
	return os.Mkdir(d.archiveDir(), 0o755)
}

func (d *demo) archiveDir() string { return filepath.Join(d.dir, "archive") }

// startArchive starts nsq_to_file, which finishes a message once its line is fsynced in a file.
func (d *demo) startArchive() (*proc.Process, error) {
	return proc.Start(proc.Spec{Path: d.weir, Args: []string{"nsq_to_file", "--topic", topic, "--channel", fileChannel,
		"--nsqd-tcp-address", d.broker.TCP(), "--output-dir", d.archiveDir(), "--max-in-flight", "2000", "--sync-interval", "200ms",
		"--consumer-opt", "lookupd_poll_interval,100ms"}})
}

// sendAndKill runs to_nsq on the lines and kills the broker whenever another share of them has arrived.
func (d *demo) sendAndKill(ctx context.Context) error {
	in, err := os.Open(filepath.Join(d.dir, "input"))
	if err != nil {
		return err
	}
	defer in.Close()
	sender, err := proc.Start(proc.Spec{Path: d.weir, Stdin: in,
		Args: []string{"to_nsq", "--topic", topic, "--nsqd-tcp-address", d.broker.TCP(), "--rate", fmt.Sprint(d.rate)}})
	if err != nil {
		return err
	}
	defer sender.Kill()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sender.Done():
			if d.kills < d.options.kills {
				return fmt.Errorf("everything was sent before kill %d: lower -rate", d.kills+1)
			}
			d.sent.Store(true)
			return sender.Wait(time.Second)
		case <-time.After(10 * time.Millisecond):
		}
		got := d.consumer.received()
		if d.kills < d.options.kills && got >= d.total*(d.kills+1)/(d.options.kills+1) {
			if err := d.killAndRestart(got); err != nil {
				return err
			}
		}
		d.showProgress()
	}
}

func (d *demo) killAndRestart(got int) error {
	if err := d.broker.Kill(); err != nil {
		return err
	}
	d.kills++
	took, err := d.broker.Start()
	if err != nil {
		return err
	}
	d.show.note("kill -9 number %d after %d lines had arrived; ready again on the same data in %v", d.kills, got, took.Round(time.Millisecond))
	return nil
}

// drain waits until both channels have every line, or nothing has come for a while.
func (d *demo) drain(ctx context.Context) error {
	began := time.Now()
	seen, since := 0, time.Now()
	for time.Since(began) < patience {
		archived, err := readFiles(d.archiveDir())
		if err != nil {
			return err
		}
		have := compare(d.lines, archived)
		got := have.received + d.consumer.received()
		if have.lost == 0 && compare(d.lines, d.consumer.counts()).lost == 0 {
			return nil
		}
		if got != seen {
			seen, since = got, time.Now()
		} else if time.Since(since) > quiet {
			return nil // the table shows what is missing
		}
		d.showProgress()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

func (d *demo) showProgress() {
	what := "sending"
	if d.sent.Load() {
		what = "all sent, draining"
	}
	d.show.update("%s: %d of %d lines received by %s, %d kills", what, d.consumer.received(), d.total, programChannel, d.kills)
}
