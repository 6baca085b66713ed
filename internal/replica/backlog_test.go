package replica_test

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

func TestBacklogLargerThanARoundIsWrittenWithoutAnotherProposal(t *testing.T) {
	for _, sync := range []commitlog.SyncPolicy{commitlog.SyncAlways, commitlog.SyncOS} {
		for _, bodyBytes := range []int{10, 1 << 20} {
			t.Run(fmt.Sprintf("%v/%d", sync, bodyBytes), func(t *testing.T) {
				log, r := start(t, open(t, vfs.NewMem(1), "data", sync))
				var waiters []*logtest.Waiter
				for total := 0; total < 16<<20; {
					b := logtest.Batch(make([]byte, bodyBytes))
					total += len(b)
					waiters = append(waiters, logtest.Propose(log, r, record.KindBatch, b))
				}
				for _, w := range waiters {
					if p := w.Outcome(t); p.Err != nil {
						t.Fatal(p.Err)
					}
				}
			})
		}
	}
}
