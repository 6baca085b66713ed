// Command faults runs the fault menu: every way of going wrong that Weir makes a promise about (menu.go), each an ordinary test in its
// long form, and adds up in one table what was injected, acknowledged, lost and made up (docs/reliability.md).
//
//	go run ./test/faults                      the long form: an hour or two (`make faults`)
//	go run ./test/faults -short               as `make check` runs them: minutes
//	go run ./test/faults -only 'power|kill'   some entries
//	go run ./test/faults -list                what there is, with commands
//	go run ./test/faults -from FILE           no run: the table of what tests have reported into FILE (WEIR_FAULT_REPORT)
//
// The exit code is 0 only if every entry passed and reported; with -from, if nothing reported was lost or made up.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
)

func main() {
	only := flag.String("only", "", "run the entries whose name matches this `REGEXP`")
	short := flag.Bool("short", false, "run the short forms")
	list := flag.Bool("list", false, "list the entries and end")
	out := flag.String("out", "", "update the table of this Markdown `FILE` too, which stands between the lines "+begin+" and "+end)
	from := flag.String("from", "", "run nothing, make the table of this `FILE` of reports")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, *only, *from, *out, !*short, *list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, only, from, out string, long, list bool) (ok bool, err error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	chosen := slices.DeleteFunc(slices.Clone(menu), func(e entry) bool { return !pattern.MatchString(e.fault) })
	if list {
		for _, e := range chosen {
			fmt.Printf("%s\n    %s\n    %s\n    %s\n", e.fault, e.injected, e.promise, e.command(long))
		}
		return true, nil
	}
	var outcomes []outcome
	if from != "" {
		outcomes, err = reported(chosen, from)
	} else {
		outcomes, err = runAll(ctx, chosen, long)
	}
	if err != nil {
		return false, err
	}
	fmt.Print("\n", table(outcomes, long))
	if out != "" {
		if err := updatePage(out, menu, outcomes, long); err != nil {
			return false, err
		}
	}
	return !slices.ContainsFunc(outcomes, func(o outcome) bool { return o.failed(from == "") }), nil
}
