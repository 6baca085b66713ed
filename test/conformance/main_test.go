//go:build process

package conformance

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// The two programs under comparison, set by TestMain.
var weirBinary, stockBinary string

// stockVariable names the environment variable that gives a ready stock nsqd, instead of building one from test/stock.
const stockVariable = "WEIR_TEST_STOCK_NSQD"

// conversationsAtATime is how many conversations are held in parallel: they wait more than they work.
const conversationsAtATime = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", conversationsAtATime)
	dir, err := os.MkdirTemp("", "weir-conformance-")
	if err == nil {
		weirBinary, err = proc.Build(dir)
	}
	if err == nil {
		stockBinary, err = buildStock(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// buildStock compiles nsqd of the module test/stock into dir.
func buildStock(dir string) (path string, err error) {
	if path = os.Getenv(stockVariable); path != "" {
		return filepath.Abs(path)
	}
	path = filepath.Join(dir, "nsqd")
	cmd := exec.Command("go", "build", "-o", path, "github.com/nsqio/nsq/apps/nsqd")
	cmd.Dir = filepath.Join("..", "stock")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build stock nsqd: %w\n%s", err, out)
	}
	return path, nil
}
