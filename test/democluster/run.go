package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

const (
	topic   = "invoices"
	channel = "accounting"
	network = "127.78.0." // of the nodes' addresses
	count   = 3
	victim  = 1 // node 2
	// patience bounds the wait for what is still to come.
	patience = time.Minute
)

type options struct {
	weir     string
	invoices int
	verbose  bool
}

// demo is one run.
type demo struct {
	options
	dir   string
	nodes [count]*proc.Process
	began time.Time
	books *books
}

// run plays the demonstration and reports whether every acknowledged invoice was delivered.
func run(ctx context.Context, o options) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "weir-demo-cluster-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	d := &demo{options: o, dir: dir, began: time.Now(), books: newBooks()}
	if d.weir == "" {
		if d.weir, err = proc.Build(dir); err != nil {
			return false, err
		}
	}
	defer d.end()
	if err := d.startNodes(); err != nil {
		return false, err
	}
	stop, err := d.books.consume(lookups())
	if err != nil {
		return false, err
	}
	defer stop()
	publishing := d.publish(ctx)
	if err := d.loseNode(ctx); err != nil {
		return false, err
	}
	if err := <-publishing; err != nil {
		return false, err
	}
	d.say("everything is published; waiting for the rest to be delivered")
	for end := time.Now().Add(patience); d.books.missing() > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
	}
	return d.print(), ctx.Err()
}

func (d *demo) say(format string, args ...any) {
	fmt.Printf("%6.2fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func address(i int, port string) string { return fmt.Sprintf("%s%d:%s", network, i+1, port) }

func lookups() []string {
	var list []string
	for i := range count {
		list = append(list, address(i, "4161"))
	}
	return list
}

// startNodes starts all nodes with the same settings and waits for them.
func (d *demo) startNodes() error {
	var join []string
	for i := range count {
		join = append(join, fmt.Sprint(network, i+1))
	}
	for i := range count {
		p, err := proc.Start(proc.Spec{Path: d.weir, Args: []string{"serve", "--listen", join[i], "--data-path", d.dataPath(i), "--join", strings.Join(join, ",")}})
		if err != nil {
			return err
		}
		d.nodes[i] = p
	}
	for i := range count {
		if err := d.await(i); err != nil {
			return err
		}
	}
	d.say("%d nodes are one cluster: weir serve --listen %sN --join %s", count, network, strings.Join(join, ","))
	for _, path := range []string{"/topic/create?topic=" + topic, "/channel/create?topic=" + topic + "&channel=" + channel} {
		answer, err := http.Post("http://"+address(0, "4151")+path, "", nil)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("POST %s: %s", path, answer.Status)
		}
	}
	return nil
}

func (d *demo) dataPath(i int) string { return filepath.Join(d.dir, fmt.Sprint("node", i+1)) }

// await waits until a node answers.
func (d *demo) await(i int) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if answer, err := http.Get("http://" + address(i, "4151") + "/ping"); err == nil {
			answer.Body.Close()
			return nil
		}
		select {
		case <-d.nodes[i].Done():
			return fmt.Errorf("node %d ended:\n%s", i+1, d.nodes[i].Output())
		default:
		}
	}
	return fmt.Errorf("node %d is not ready:\n%s", i+1, d.nodes[i].Output())
}

// publish publishes at all nodes, each its share; the share of a node that dies goes to the next one, as an application would do it.
func (d *demo) publish(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		var errs [count]chan error
		for i := range count {
			errs[i] = make(chan error, 1)
			go func() { errs[i] <- d.books.publish(ctx, i, d.invoices/count) }()
		}
		var all error
		for i := range count {
			all = errors.Join(all, <-errs[i])
		}
		done <- all
	}()
	return done
}

// loseNode kills a node in the middle of everything, and deletes its disk.
func (d *demo) loseNode(ctx context.Context) error {
	for d.books.acknowledged() < d.invoices/2 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	published, delivered := d.books.acknowledged(), d.books.delivered()
	if err := d.nodes[victim].Kill(); err != nil {
		return err
	}
	d.say("kill -9 of node %d, after %d invoices were published and %d delivered", victim+1, published, delivered)
	if err := os.RemoveAll(d.dataPath(victim)); err != nil {
		return err
	}
	d.say("the disk of node %d is deleted", victim+1)
	return nil
}

func (d *demo) print() bool {
	acknowledged, lost, more := d.books.acknowledged(), d.books.missing(), d.books.duplicates()
	d.say("done\n")
	fmt.Printf("invoices answered OK     %8d\ninvoices delivered       %8d\ndelivered more than once %8d   (in flight at the node that died, or its last 100 ms of finishes)\nlost                     %8d\n",
		acknowledged, acknowledged-lost, more, lost)
	return lost == 0
}

// end ends the nodes.
func (d *demo) end() {
	for i, p := range d.nodes {
		if p == nil {
			continue
		}
		p.Kill()
		if d.verbose {
			fmt.Fprintf(os.Stderr, "\nlog of node %d:\n%s", i+1, p.Output())
		}
	}
}
