//go:build process

package topology

import (
	"os"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/proc"
)

// programs are the binaries under test, by name: weir, and stock NSQ's. Set by TestMain.
var programs = map[string]string{}

func TestMain(m *testing.M) {
	os.Exit(proc.Main(m, func(dir string) (err error) {
		programs["weir"], err = proc.Build(dir)
		for _, name := range []string{"nsqd", "nsqlookupd", "nsqadmin", "nsq_stat", "nsq_tail", "nsq_to_file"} {
			if err == nil {
				programs[name], err = proc.Stock(dir, name)
			}
		}
		return err
	}))
}

// eventually fails the test unless the condition holds within patience.
func eventually(t *testing.T, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
