// Package damage damages one file of a broker's disk while the broker is down, in every way that disks and people know, and checks
// from the outside that nothing is lost in silence.
//
// The disks are those of brokers that were stopped or killed, with segments, index files, checkpoints, a catalog and deleted topics.
// One file of it gets flipped bits, garbage, zeros, blocks from elsewhere, is cut, lengthened, swapped with another, replaced by
// an older copy, removed, renamed; or a file or a directory appears that does not belong. Then the broker is started and drained:
//
//	exact     all that was acknowledged and not finished comes, and nothing else
//	cut       the end of the log is gone, of which nothing that is left says that it was durable
//	refused   the broker, or the topic, does not start, or a consumer is told, with the file's name
//
// All else fails the test: a gap in silence, a panic, a message that nobody sent. Then `weir log repair` is run, and what it leaves
// is compared with what is known to be intact: all of that must be there, and the rest be listed; the broker must start and go on.
//
//	go test ./test/damage                                      a few hundred damaged files
//	WEIR_DAMAGED=5000 go test ./test/damage                    so many
//	WEIR_SEED=123 go test -v ./test/damage                     one, with what was logged
package damage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// defaultDamaged is how many files a plain run damages.
const defaultDamaged = 300

func TestDamageIsNeverSilent(t *testing.T) {
	patients := newPatients(t)
	count := &tally{outcomes: map[string]int{}}
	first, n := uint64(1), env.Number[uint64](t, "WEIR_DAMAGED", defaultDamaged)
	if one := env.Number[uint64](t, "WEIR_SEED", 0); one > 0 {
		first, n = one, 1
	}
	for seed := first; seed < first+n; seed++ {
		rng := rand.New(rand.NewPCG(seed, 2))
		p := patients[seed%uint64(len(patients))]
		how := injuries[rng.IntN(len(injuries))]
		disk := p.disk.Clone()
		what := how.do(p, disk, rng)
		if what == "" {
			continue
		}
		count.damaged++
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &examination{t: t, patient: p, disk: disk, tally: count, what: fmt.Sprintf("%s: %s: %s", p.name, how.name, what)}
				x.run()
			})
		})
		if t.Failed() {
			t.Fatalf("replay with: WEIR_SEED=%d go test -v ./test/damage", seed)
		}
	}
	if n >= defaultDamaged {
		count.expectEverything(t)
	}
	faultreport.Write(t, faultreport.Row{Fault: "damaged files, one broker", Injected: count.damaged, Acknowledged: count.acknowledged,
		Delivered: count.delivered, Lost: count.lost, Phantom: count.phantom, Duplicated: count.duplicated, Note: count.note()})
}

// tally counts what all examinations saw.
type tally struct {
	damaged, acknowledged, delivered int
	lost, phantom, duplicated        int
	outcomes                         map[string]int
}

func (n *tally) note() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(n.outcomes)) {
		list = append(list, fmt.Sprintf("%s: %d", name, n.outcomes[name]))
	}
	return strings.Join(list, ", ")
}

// expectEverything makes sure that the runs contained what they claim to.
func (n *tally) expectEverything(t *testing.T) {
	t.Helper()
	for _, name := range []string{exact, cut, refusedStart, topicRefused, readRefused, repaired, repairRefused} {
		if n.outcomes[name] == 0 {
			t.Errorf("it never happened: %s", name)
		}
	}
}

// The classes of outcomes.
const (
	exact         = "recovered exactly"
	cut           = "cut above what was durable"
	refusedStart  = "start refused"
	topicRefused  = "topic stands still"
	readRefused   = "read refused"
	repaired      = "repaired"
	repairRefused = "repair refused"
)
