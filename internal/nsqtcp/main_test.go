package nsqtcp

import (
	"flag"
	"testing"
)

// testsAtATime is how many of the tests that call Parallel run beside each other, whatever the machine: they wait for timeouts and
// heartbeats rather than work.
const testsAtATime = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", testsAtATime); err != nil {
		panic(err)
	}
	m.Run()
}
