// Command weir is a message broker: NSQ's simplicity with Kafka's guarantees, in one binary.
//
// The first argument names a subcommand; linked under the name of an NSQ program (nsqd, to_nsq, nsq_to_file), it is that
// program. Each subcommand has a file of its own here that only reads its settings and starts a package. This file
// handles signals and exit codes and nothing else:
//
//	0  done, or stopped as asked
//	1  failed; one line on stderr says what to do
//	2  the command line, the environment or the settings file cannot be used; one line says what is accepted
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/weirmq/weir/internal/config"
)

// process is what a subcommand may touch of its process.
type process struct {
	args      []string // without the program's and the subcommand's name
	in        io.Reader
	out, err  io.Writer
	lookupEnv func(string) (string, bool)
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	go stopOnSignal(cancel)
	p := process{args: os.Args[1:], in: os.Stdin, out: os.Stdout, err: os.Stderr, lookupEnv: os.LookupEnv}
	os.Exit(exitCode(dispatch(ctx, os.Args[0], p), os.Stderr))
}

// stopOnSignal ends the context at the first SIGINT or SIGTERM, which makes the subcommand stop gracefully, and the process
// at the second, with the exit code that shells use for a signal.
func stopOnSignal(cancel context.CancelFunc) {
	signalC := make(chan os.Signal, 2)
	signal.Notify(signalC, syscall.SIGINT, syscall.SIGTERM)
	<-signalC
	cancel()
	second := <-signalC
	fmt.Fprintln(os.Stderr, "weir: stopped at once; the next start recovers from the log")
	os.Exit(128 + int(second.(syscall.Signal)))
}

// exitCode reports an error and returns the process's exit code.
func exitCode(err error, stderr io.Writer) int {
	var usage *config.UsageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, err)
		return 2
	default:
		fmt.Fprintln(stderr, err)
		return 1
	}
}
