// Command demo shows the broker's main promise on a real file: it sends every line of the file through weir to_nsq into weir serve,
// consumes them on two channels, one with weir nsq_to_file and one with go-nsq, kills the broker with kill -9 on the way and
// restarts it on the same data, and compares at the end what each channel has with what was sent.
//
//	go run ./test/demo [-file FILE] [-kills 2] [-rate 20000]
//
// Without -file the lines are the file lists of the packages installed on this machine (Debian and its kin). The exit code is 0 only
// if no line is lost and none appears from nowhere.
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
	flag.StringVar(&o.file, "file", "", "send the lines of this `FILE`, instead of the machine's package lists")
	flag.StringVar(&o.weir, "weir", "", "use this `BINARY`, instead of building cmd/weir")
	flag.IntVar(&o.rate, "rate", 20_000, "send this many `LINES` a second, so that the kills fall into the run")
	flag.IntVar(&o.kills, "kills", 2, "kill the broker this many times")
	flag.BoolVar(&o.verbose, "verbose", false, "show the log of the broker at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}
