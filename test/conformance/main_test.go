//go:build process

package conformance

import (
	"flag"
	"os"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// The programs under comparison, set by TestMain: weir, stock nsqd and stock nsqlookupd.
var weirBinary, stockBinary, stockLookup string

// conversationsAtATime is how many conversations are held in parallel: they wait more than they work.
const conversationsAtATime = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", conversationsAtATime)
	os.Exit(proc.Main(m, func(dir string) (err error) {
		weirBinary, err = proc.Build(dir)
		if err == nil {
			stockBinary, err = proc.Stock(dir, "nsqd")
		}
		if err == nil {
			stockLookup, err = proc.Stock(dir, "nsqlookupd")
		}
		return err
	}))
}
