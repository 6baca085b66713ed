package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/node"
	"github.com/weirmq/weir/internal/version"
)

// runServe is `weir serve`: a whole installation in one process.
func runServe(ctx context.Context, p process) error {
	var n config.Node
	if err := parse(p, config.Serve(&n), "usage: weir serve [--data-path=DIR] [--sync=always|os|DURATION] …"); err != nil {
		return err
	}
	return runNode(ctx, p, "weir serve", &n, greet)
}

// runNode starts a node, says hello, and runs it until ctx ends.
func runNode(ctx context.Context, p process, command string, n *config.Node, hello func(io.Writer, *node.Node)) error {
	n.Options.Logger = newLogger(p, &n.LogLevel, n.LogFormat)
	n.Options.Terminal = terminal(p.err)
	running, err := node.Start(ctx, n.Options)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if hello != nil {
		hello(p.out, running)
	}
	if err := running.Run(ctx); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// greet shows a newcomer where the node is and what to try first.
func greet(w io.Writer, n *node.Node) {
	api, curl := "http://"+node.Reachable(n.HTTPAddr()), "curl"
	if n.HTTPSOnly() {
		api, curl = "https://"+node.Reachable(n.HTTPSAddr()), "curl --cacert CA.pem"
	}
	if n.NeedsToken() {
		curl += " -H 'Authorization: Bearer TOKEN'"
	}
	lookup := ""
	if n.LookupHTTPAddr() != "" {
		lookup = ", lookup " + n.LookupTCPAddr() + " and " + n.LookupHTTPAddr()
	}
	if n.AdminAddr() != "" {
		lookup += ", admin page http://" + node.Reachable(n.AdminAddr()) + "/"
	}
	fmt.Fprintf(w, "weir %s is ready: TCP %s, HTTP %s%s\n\n"+
		"  %s -d 'hello' '%s/pub?topic=greetings'   # publish\n"+
		"  %s '%s/stats'                            # look at topics and channels\n\n",
		version.Weir, n.TCPAddr(), n.HTTPAddr(), lookup, curl, api, curl, api)
}

// newLogger returns the logger that the settings ask for.
func newLogger(p process, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(p.err, options))
	}
	return slog.New(slog.NewTextHandler(p.err, options))
}

// terminal returns w if a person watches it, else nil.
func terminal(w io.Writer) io.Writer {
	file, ok := w.(*os.File)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return w
}
