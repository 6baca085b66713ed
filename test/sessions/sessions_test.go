// Package sessions lets clients loose on a broker that do anything: valid commands, commands out of place, wrong sizes, wrong ids, other
// consumers' ids, the same id twice, bursts cut into pieces, connections that end in the middle of a command, several at once. A model of what
// the clients know says, for each command, whether and how it must be answered, and which deliveries are allowed:
//
//	each command that has an answer gets one, in order (E_FIN_FAILED alone may be late, and names its message)
//	after an error that is fatal comes nothing but the end of the connection, and nothing behind it took effect
//	a message is in flight at one session of a channel at a time, not above its ready count, until FIN, REQ, its timeout or the session's end
//	attempts grow; nothing comes back after its FIN; nothing comes before SUB's OK or after CLS's CLOSE_WAIT
//	what was answered OK is delivered to every channel, what was refused or never complete to none (the history checker)
//
// The broker is a real one on a disk in memory, its sessions run over pipes, all in a synctest bubble: a script of bytes is a story that is
// always the same, but for the order of goroutines.
//
//	WEIR_SEED=123 go test ./test/sessions                                   replays one
//	WEIR_SEEDS=3000 go test ./test/sessions                                 runs so many
//	go test -run '^$' -fuzz FuzzSessions -fuzztime 30s -fuzzminimizetime 100x ./test/sessions   looks for new ones
package sessions

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
)

// defaultSeeds is how many seeds a plain run takes.
const defaultSeeds = 60

func TestSessionsKeepTheProtocol(t *testing.T) {
	first, n := env.Seeds(t, defaultSeeds)
	var total totals
	for seed := first; seed < first+n; seed++ {
		rng := rand.New(rand.NewPCG(seed, 7))
		script := make([]byte, 500+rng.IntN(3000))
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newStory(t, script, &total).run() })
		})
		if t.Failed() {
			t.Fatalf("replay with: WEIR_SEED=%d go test ./test/sessions", seed)
		}
	}
	t.Logf("%d seeds: %+v", n, total)
	total.Judged.Note = fmt.Sprintf("%d scripts, %d sessions", n, total.Sessions)
	faultreport.Write(t, total.Judged)
	if n >= defaultSeeds {
		total.expectEverything(t)
	}
}

func FuzzSessions(f *testing.F) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 8))
		script := make([]byte, 60+40*seed)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { newStory(t, script, &totals{}).run() })
	})
}

// totals count what the stories contained, to make sure that they exercise what they claim to.
type totals struct {
	Sessions, Commands, Fatal, Cut, Foreign, Repeated int
	Published, Deliveries, Finished, Requeued         int
	Refused, TimedOut, Touched, Pieces                int
	Judged                                            faultreport.Row
}

func (n *totals) expectEverything(t *testing.T) {
	t.Helper()
	for what, count := range map[string]int{
		"fatal errors": n.Fatal, "connections cut in a command": n.Cut, "others' messages": n.Foreign, "messages done twice": n.Repeated,
		"deliveries": n.Deliveries, "finishes": n.Finished, "requeues": n.Requeued, "refusals": n.Refused, "timeouts": n.TimedOut,
		"touches": n.Touched, "commands in pieces": n.Pieces, "publishes": n.Published,
	} {
		if count == 0 {
			t.Errorf("the scripts never contained: %s", what)
		}
	}
}
