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
// Test binaries call it once, in TestMain.
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
