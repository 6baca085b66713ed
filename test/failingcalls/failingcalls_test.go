// Package failingcalls lets the n-th call of a broker's disk fail, for every n of a workload, and checks from the outside that
// nothing it answered for is lost.
//
// The workload is a script of three lives of a whole broker: publish, defer, consume, requeue, create and delete channels and topics,
// pause, roll, carry, checkpoint, trim, a clean stop, the death of the process. First its calls are counted. Then it runs once for
// each call, whatever that is (open, create, read, write, sync, rename, truncate, remove, readdir, mkdir, stat, lock, close, …), in
// several modes:
//
//	EIO once          the call fails, all others work
//	EIO on            it fails, and all calls after it until the process has been restarted in vain once
//	ENOSPC once       the disk is full for this call
//	short, EIO        of a write, a part is written before it fails
//	short, ENOSPC     the same on a full disk
//	whole, ENOSPC     all of the write is done, and it fails all the same
//
// and either only the process ends between the lives, or the power goes, and with it what was not synced. Afterwards the disk is well
// again: the broker must start, every acknowledged message must come, no other, and nothing finished may come again.
//
// It runs in synctest bubbles: what would hang is reported as a deadlock.
//
//	go test ./test/failingcalls                                a sample of the calls
//	WEIR_FAILING_CALLS=1000000 go test ./test/failingcalls     all of them
package failingcalls

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/vfs"
)

// defaultCases is how many cases a plain run takes.
const defaultCases = 250

// mode is a way in which a call fails.
type mode struct {
	name  string
	op    vfs.Op
	err   error
	times int // 0: from then on
	part  int // bytes of a write that go through
}

var modes = []mode{
	{name: "EIO once", err: syscall.EIO, times: 1},
	{name: "EIO on", err: syscall.EIO},
	{name: "ENOSPC once", err: vfs.ErrNoSpace, times: 1},
	{name: "short, EIO", op: vfs.OpWrite, err: syscall.EIO, times: 1, part: 77},
	{name: "short, ENOSPC", op: vfs.OpWrite, err: vfs.ErrNoSpace, times: 1, part: 200},
	{name: "whole, ENOSPC", op: vfs.OpWrite, err: vfs.ErrNoSpace, times: 1, part: 1 << 20},
}

// faultCase is one run of the workload.
type faultCase struct {
	mode  mode
	nth   int
	power bool // the power goes between the lives
}

// harmless is a run in which no call fails.
var harmless = faultCase{mode: mode{err: errors.New("injected though it should not be")}, nth: 1 << 40}

func (c faultCase) String() string {
	end := "killed"
	if c.power {
		end = "power cut"
	}
	return fmt.Sprintf("%s, call %d, %s", c.mode.name, c.nth, end)
}

func TestEveryFailingCallLosesNothingAnswered(t *testing.T) {
	var count tally
	synctest.Test(t, func(t *testing.T) { play(t, harmless, &count) })
	calls, writes := count.calls, count.writes
	if calls < 500 || writes < 50 {
		t.Fatalf("the workload makes %d calls, %d of them writes", calls, writes)
	}
	var all []faultCase
	for _, m := range modes {
		n := calls
		if m.op == vfs.OpWrite {
			n = writes
		}
		for i := range n {
			all = append(all, faultCase{m, i + 1, false}, faultCase{m, i + 1, true})
		}
	}
	wanted := min(len(all), env.Number(t, "WEIR_FAILING_CALLS", defaultCases))
	first := env.Number(t, "WEIR_SEED", 1)
	count = tally{failed: map[vfs.Op]int{}}
	for i := range wanted {
		c := all[(i*len(all)/wanted+first)%len(all)]
		t.Run(c.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, c, &count) })
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	count.expectEverything(t, wanted)
	faultreport.Write(t, count.row("failing calls, one broker", fmt.Sprintf("%d of %d cases: %d calls in %d modes; failed: %s; %d starts refused, %d lives with a failed log",
		wanted, len(all), calls, len(modes), count.ops(), count.refusedStarts, count.failedLives)))
}

// tally counts what all runs saw.
type tally struct {
	calls, writes                    int // of the last run
	hits                             int
	failed                           map[vfs.Op]int
	answered, deliveries, duplicates int
	lost, phantom                    int
	refused, unknown                 int
	refusedStarts, failedLives       int
}

func (n *tally) row(fault, note string) faultreport.Row {
	return faultreport.Row{Fault: fault, Injected: n.hits, Acknowledged: n.answered, Delivered: n.deliveries, Lost: n.lost,
		Phantom: n.phantom, Duplicated: n.duplicates, Note: note}
}

func (n *tally) ops() string {
	var list []string
	for _, op := range slices.Sorted(maps.Keys(n.failed)) {
		list = append(list, fmt.Sprintf("%s %d", op, n.failed[op]))
	}
	return strings.Join(list, ", ")
}

// expectEverything makes sure that the runs contained what they claim to.
func (n *tally) expectEverything(t *testing.T, cases int) {
	t.Helper()
	if n.hits < cases*9/10 { // the number of calls differs a little from run to run
		t.Errorf("in %d cases only %d calls failed", cases, n.hits)
	}
	for what, count := range map[string]int{"refused": n.refused, "unknown": n.unknown, "refused starts": n.refusedStarts,
		"failed logs": n.failedLives, "deliveries": n.deliveries} {
		if count == 0 {
			t.Errorf("the cases never contained: %s", what)
		}
	}
	for _, op := range []vfs.Op{vfs.OpCreate, vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpRemove, vfs.OpReadDir,
		vfs.OpSyncDir, vfs.OpStat, vfs.OpClose} {
		if n.failed[op] == 0 {
			t.Errorf("no %s ever failed", op)
		}
	}
}
