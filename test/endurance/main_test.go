//go:build process

package endurance

import (
	"os"
	"testing"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// weirBinary is the weir under test, set by TestMain.
var weirBinary string

func TestMain(m *testing.M) {
	os.Exit(proc.Main(m, proc.Weir(&weirBinary)))
}
