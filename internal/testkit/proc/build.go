package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BinaryVariable names the environment variable that gives a ready weir binary to test, instead of building one.
const BinaryVariable = "WEIR_TEST_BINARY"

// Build compiles cmd/weir of the module that the working directory lies in, into dir, and returns the path of the binary.
// Test binaries call it once, by Main.
func Build(dir string) (path string, err error) {
	if path = os.Getenv(BinaryVariable); path != "" {
		return filepath.Abs(path)
	}
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	path = filepath.Join(dir, "weir")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/weir")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(gomod)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build weir: %w\n%s", err, out)
	}
	return path, nil
}

// Main is what a TestMain hands to os.Exit: it runs the tests with the programs that build puts into a temporary directory.
func Main(m interface{ Run() int }, build func(dir string) error) int {
	dir, err := os.MkdirTemp("", "weir-tests-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return m.Run()
}

// Weir is a build of weir alone for Main.
func Weir(path *string) func(dir string) error {
	return func(dir string) (err error) {
		*path, err = Build(dir)
		return err
	}
}

// StockVariable names the environment variable that gives a ready stock nsqd; the other programs of NSQ may lie beside it.
const StockVariable = "WEIR_TEST_STOCK_NSQD"

// Stock returns the path of a program of NSQ, such as nsqd or nsq_to_file: a ready one, or one compiled from the module test/stock
// into dir.
func Stock(dir, program string) (path string, err error) {
	if nsqd := os.Getenv(StockVariable); nsqd != "" {
		path = filepath.Join(filepath.Dir(nsqd), program)
		if _, err := os.Stat(path); err == nil {
			return filepath.Abs(path)
		}
	}
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	path = filepath.Join(dir, program)
	cmd := exec.Command("go", "build", "-o", path, "github.com/nsqio/nsq/apps/"+program)
	cmd.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(gomod))), "test", "stock")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build stock %s: %w\n%s", program, err, out)
	}
	return path, nil
}
