// Package raftsim runs the Raft groups of several nodes in one process and does to them what networks and disks do: frames are
// dropped, doubled, delayed and overtake each other, links are cut in one direction or both, power goes in the middle of any
// operation of a disk and takes what was not synced, disks are full for a while, files lose bits while a node is down, logs are
// trimmed under those that are away. Meanwhile proposals come in everywhere.
//
// What must hold, checked at every entry that any replica applies, and once more when everything is well again:
//
//	all replicas apply the same entries in the same order, the same offsets, without a gap
//	each proposal is answered once
//	what was answered as committed is there, at its place, for ever; what was refused is nowhere
//	what a leader has left to record when it lets go is applied before anybody leads, if ever
//	in one term one node commits
//
// It runs in synctest bubbles, so that time costs nothing. The story of a seed is always the same; what the library draws by itself
// (election timeouts) and the order of goroutines are not.
//
//	WEIR_SEED=123 go test ./test/raftsim         replays one
//	WEIR_SEEDS=5000 go test ./test/raftsim       runs so many
package raftsim

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// defaultSeeds is how many seeds a plain run takes.
const defaultSeeds = 60

func TestReplicasAgreeWhateverHappens(t *testing.T) {
	first, n := env.Seeds(t, defaultSeeds)
	var total totals
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newStory(t, seed, &total).run() })
		})
		if t.Failed() {
			t.Fatalf("replay with: WEIR_SEED=%d go test ./test/raftsim", seed)
		}
	}
	t.Logf("%d seeds: %+v", n, total)
	faultreport.Write(t, faultreport.Row{
		Fault:        "power loss, bad networks and bad disks of replicas",
		Injected:     total.Crashes + total.Damaged + total.Cuts + total.Filled + total.Dropped + total.Doubled,
		Acknowledged: total.Committed,
		Note: fmt.Sprintf("%d seeds; crashes %d, damaged disks %d, full disks %d, cut links %d, frames dropped or doubled %d",
			n, total.Crashes, total.Damaged, total.Filled, total.Cuts, total.Dropped+total.Doubled),
	})
	if n >= defaultSeeds {
		total.expectEverything(t)
	}
}

// totals count what the stories contained, to make sure that they exercise what they claim to.
type totals struct {
	Lives, Crashes, CleanStops, Damaged, Refused int
	Committed, NotLeader, Unknown, Full          int
	Cuts, Handovers, Snapshots, Trims            int
	Filled                                       int
	Sent, Dropped, Doubled                       int
	Leaderships                                  int
	WordsTaken, WordsRefused                     int // of machines that stop leading
	Failing                                      int
}

func (n *totals) expectEverything(t *testing.T) {
	t.Helper()
	for what, count := range map[string]int{
		"crashes": n.Crashes, "clean stops": n.CleanStops, "damaged replicas": n.Damaged, "refused replicas": n.Refused,
		"committed": n.Committed, "not leader": n.NotLeader, "unknown": n.Unknown, "cuts": n.Cuts, "handovers": n.Handovers,
		"full disks": n.Filled, "last words taken": n.WordsTaken, "last words refused": n.WordsRefused, "snapshots": n.Snapshots,
		"trims": n.Trims, "dropped frames": n.Dropped, "doubled frames": n.Doubled,
	} {
		if count == 0 {
			t.Errorf("the seeds never contained: %s", what)
		}
	}
}
