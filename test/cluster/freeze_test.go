//go:build process

package cluster

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// TestAFrozenNodeDoesNotServeTwice stops a node's threads under load for longer than all timeouts: others lead meanwhile, and when it wakes up as
// the leader that it was, it neither answers OK nor delivers what others have delivered and consumers finished. WEIR_FREEZES changes how often.
func TestAFrozenNodeDoesNotServeTwice(t *testing.T) {
	freezes := env.Number(t, "WEIR_FREEZES", 2)
	ns, f := startTraffic(t, 300, []string{"work"})
	f.consume("work", 50)
	var led time.Duration
	for i := range freezes {
		time.Sleep(time.Second)
		victim, witness := ns.list[i%3], ns.list[(i+1)%3]
		f.rec.Killed()
		if err := victim.process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		led = max(led, ns.awaitLed(f.topic, false, witness, 10*time.Second))
		begun, before := time.Now(), f.answered.Load()
		time.Sleep(3 * time.Second)
		if f.answered.Load() == before {
			t.Errorf("nobody answered for %v while node %d was frozen", time.Since(begun), victim.id)
		}
		if err := victim.process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		f.rec.Killed() // what it delivered before it heard of the others
		ns.awaitLed(f.topic, true, witness, 20*time.Second)
	}
	report := f.finish(drainPatience, "work")
	row := faultreport.Judged("SIGSTOP beyond all timeouts", freezes, report)
	row.Note = fmt.Sprintf("a cluster's node frozen for 3 s and more; its partitions led by others after %v at worst", led.Round(time.Millisecond))
	faultreport.Write(t, row)
	if report.Count(history.Lost)+report.Count(history.Phantom) > 0 {
		t.Error("messages were lost or made up")
	}
}
