//go:build process

package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// drainPatience is how long a consumer may take for what is left. With one message in flight and several nodes go-nsq listens to one
// node at a time, and leaves it after ten seconds without a message at the soonest.
const drainPatience = 3 * time.Minute

func prepare(ns *nodes, topic string, channels ...string) {
	ns.t.Helper()
	ns.post(ns.list[0], "/topic/create?topic="+topic, "")
	for _, ch := range channels {
		ns.post(ns.list[0], "/channel/create?topic="+topic+"&channel="+ch, "")
	}
	ns.awaitLed(topic, true, ns.list[0], 20*time.Second)
}

// TestAKilledNodeLosesNothing kills the nodes one after the other, under load, with consumers that take one message at a time; every
// other one is killed once more while it starts.
// WEIR_CLUSTER_KILLS changes how often.
func TestAKilledNodeLosesNothing(t *testing.T) {
	kills := env.Number(t, "WEIR_CLUSTER_KILLS", 4)
	ns, f := startTraffic(t, 500, []string{"work", "audit"})
	f.consume("work", 1)
	f.consume("audit", 50)
	var gaps []time.Duration
	early := 0
	for i := range kills {
		time.Sleep(1200 * time.Millisecond)
		victim, witness := ns.list[i%3], ns.list[(i+1)%3]
		f.rec.Killed()
		ns.kill(victim)
		f.rec.Killed() // it answered until it was gone
		gaps = append(gaps, ns.awaitLed(f.topic, false, witness, 10*time.Second))
		time.Sleep(500 * time.Millisecond)
		if i%2 == 1 { // once more while it starts, or while it takes its place again
			ns.launch(victim)
			time.Sleep(rand.N(400 * time.Millisecond))
			f.rec.Killed()
			ns.kill(victim)
			f.rec.Killed()
			early++
		}
		f.restart(victim, witness)
	}
	report := f.finish(drainPatience, "work", "audit")
	slices.Sort(gaps)
	t.Logf("%d kills: %s; partitions led again after %v at the median, %v at worst", kills, f.describe(report), gaps[len(gaps)/2], gaps[len(gaps)-1])
	row := faultreport.Judged("kill -9 of a cluster's nodes", kills+early, report)
	row.Note = fmt.Sprintf("%d of the kills while starting; led again after %v at the median, %v at worst", early, gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
	faultreport.Write(t, row)
	if gaps[len(gaps)/2] > 2*time.Second || gaps[len(gaps)-1] > 4*time.Second {
		t.Errorf("partitions were without a leader for too long: %v", gaps)
	}
	if report.Count(history.Lost)+report.Count(history.Phantom) > 0 {
		t.Error("messages were lost or made up")
	}
}

// TestAStopHandsOverFirst stops nodes with SIGTERM under load: who publishes elsewhere notices next to nothing, and partitions are
// without a leader for at most 200 ms.
func TestAStopHandsOverFirst(t *testing.T) {
	stops := env.Number(t, "WEIR_CLUSTER_STOPS", 3)
	ns, f := startTraffic(t, 500, []string{"work"})
	f.consume("work", 1)
	var gaps []time.Duration
	for i := range stops {
		time.Sleep(time.Second)
		leaving, witness := ns.list[i%3], ns.list[(i+1)%3]
		watch := f.watchLeaders(witness)
		f.stop(leaving)
		ns.awaitLed(f.topic, false, witness, 10*time.Second)
		gaps = append(gaps, watch())
		f.restart(leaving, witness)
	}
	report := f.finish(drainPatience, "work")
	slices.Sort(gaps)
	t.Logf("%d stops: %s; partitions without a leader for %v at worst, all: %v", stops, f.describe(report), gaps[len(gaps)-1], gaps)
	if gaps[len(gaps)-1] > 200*time.Millisecond {
		t.Errorf("a stop left partitions without a leader for %v", gaps[len(gaps)-1])
	}
}
