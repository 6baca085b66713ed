//go:build process

package endurance

import (
	"fmt"
	"os"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// weirBinary is the weir under test, set by TestMain.
var weirBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "weir-endurance-tests-")
	if err == nil {
		weirBinary, err = proc.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
