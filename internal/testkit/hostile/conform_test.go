package hostile_test

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/testkit/hostile"
	"github.com/weirmq/weir/internal/testkit/logtest"
)

func TestBenignLogConforms(t *testing.T) {
	logtest.Run(t, logtest.Config{New: func(*testing.T) broker.Logs { return hostile.New(hostile.Benign()) }})
}

func TestSlowLogConforms(t *testing.T) {
	logtest.Run(t, logtest.Config{New: func(*testing.T) broker.Logs {
		o := hostile.Benign()
		o.MaxDelay, o.Partial, o.InPlace = 100*time.Microsecond, 0.5, 0.3
		o.SegmentBytes = 64 << 10
		return hostile.New(o)
	}})
}
