// Command democluster shows what a cluster is for: three nodes; invoices are published at each of them and consumed by an ordinary
// NSQ client, which finds the nodes by their lookup services. In the middle one node is killed with kill -9 and its disk is deleted.
// At the end every invoice that was answered OK must have been delivered, and nobody has changed a setting.
//
//	go run ./test/democluster [-weir BINARY] [-invoices 30000]
//
// The exit code is 0 only if no invoice is lost.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	o := options{}
	flag.StringVar(&o.weir, "weir", "", "use this `BINARY`, instead of building cmd/weir")
	flag.IntVar(&o.invoices, "invoices", 30_000, "publish this many `INVOICES`")
	flag.BoolVar(&o.verbose, "verbose", false, "show the logs of the nodes at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "democluster:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}
