package main

import (
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/cluster/secret"
	"github.com/weirmq/weir/internal/config"
)

const clusterUsage = `usage: weir cluster key

  key   print a fresh cluster key, for --cluster-key-file of all nodes. Who has it can join: keep it secret`

// runCluster is `weir cluster`.
func runCluster(_ context.Context, p process) error {
	verb := ""
	if len(p.args) > 0 {
		verb, p.args = p.args[0], p.args[1:]
	}
	switch verb {
	case "key":
		if err := parse(p, config.NewSet("weir cluster key"), clusterUsage); err != nil {
			return err
		}
		fmt.Fprintln(p.out, secret.New().Text())
		return nil
	case "-h", "--help", "-help", "help":
		fmt.Fprintln(p.out, clusterUsage)
		return nil
	}
	return &config.UsageError{Command: "weir cluster", Where: fmt.Sprintf("verb %q", verb), Problem: "is unknown", Accepts: "key"}
}
