package main

import (
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/version"
)

// runNsqd is `weir nsqd`, and NSQ's nsqd: the same node with nsqd's flags and defaults.
func runNsqd(ctx context.Context, p process) error {
	var n config.Node
	if err := parse(p, config.Nsqd(&n), "usage: nsqd [--data-path=DIR] [--tcp-address=HOST:PORT] …"); err != nil {
		return err
	}
	if n.ShowVersion {
		fmt.Fprintln(p.out, version.NSQLine("nsqd"))
		return nil
	}
	return runNode(ctx, p, "nsqd", &n, nil)
}
