package main

import (
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/config"
	"github.com/weirmq/weir/internal/version"
)

// runVersion is `weir version`.
func runVersion(_ context.Context, p process) error {
	if err := parse(p, config.NewSet("weir version"), "usage: weir version"); err != nil {
		return err
	}
	fmt.Fprintln(p.out, version.Line())
	return nil
}
