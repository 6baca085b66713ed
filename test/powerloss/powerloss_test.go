// Package powerloss cuts the power of a whole broker at any operation of its disk and checks from the outside that nothing
// it answered for is lost.
//
// Each seed is a story of several lives: publish, defer, consume, requeue, create and delete channels, pause, roll, carry, trim,
// until the disk stops in the middle of something; then what was not synced is kept, dropped or torn, sector by sector and
// name by name, and the next life begins. It runs in a synctest bubble, so that delays and time-outs cost nothing, and each
// seed does the same again:
//
//	WEIR_SEED=123 go test ./test/powerloss         replays one
//	WEIR_SEEDS=3000 go test ./test/powerloss       runs so many
package powerloss

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/testkit/brokerlife"
	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// defaultSeeds is how many seeds a plain run takes.
const defaultSeeds = 150

func TestPowerLossLosesNothingAnswered(t *testing.T) {
	first, n := env.Seeds(t, defaultSeeds)
	var total totals
	for seed := first; seed < first+n; seed++ {
		s := &story{t: t, seed: seed, totals: &total}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s.t = t
				s.run()
			})
		})
		if t.Failed() {
			t.Fatalf("replay with: WEIR_SEED=%d go test ./test/powerloss", seed)
		}
	}
	t.Logf("%d seeds: %+v", n, total)
	total.Judged.Note = fmt.Sprintf("%d seeds, %d cuts in recovery", n, total.CutsInRecovery)
	faultreport.Write(t, total.Judged)
	if n >= defaultSeeds {
		total.expectEverything(t)
	}
}

// totals count what the stories contained, to make sure that they exercise what they claim to.
type totals struct {
	Lives, Cuts, CutsInRecovery, CleanStops int
	Answered, Refused, Unknown              int
	Deliveries, Finishes, Requeues          int
	Deferred, Channels, Trimmed, Carried    int
	Judged                                  faultreport.Row
}

// add takes what a story knows at its end.
func (n *totals) add(s *brokerlife.Story) {
	n.Answered += s.Answered
	n.Refused += s.Refused
	n.Unknown += s.Unknown
	n.Deliveries += s.Deliveries
	n.Trimmed += int(s.Trimmed.Load())
	n.Carried += int(s.Carried.Load())
}

func (n *totals) expectEverything(t *testing.T) {
	t.Helper()
	for what, count := range map[string]int{
		"cuts": n.Cuts, "cuts in recovery": n.CutsInRecovery, "clean stops": n.CleanStops, "answered": n.Answered,
		"unknown": n.Unknown, "finishes": n.Finishes, "requeues": n.Requeues, "deferred": n.Deferred,
		"channels": n.Channels, "trimmed": n.Trimmed, "carried": n.Carried,
	} {
		if count == 0 {
			t.Errorf("the seeds never contained: %s", what)
		}
	}
}
