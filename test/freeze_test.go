//go:build process

package test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
)

// TestAFrozenNodeGoesOn stops the node's threads under load for longer than the message timeout and than two heartbeats, again and again:
// what was in flight comes back, what was finished does not, and clients are answered again at once. WEIR_FREEZES changes how often.
func TestAFrozenNodeGoesOn(t *testing.T) {
	const msgTimeout, freeze = time.Second, 2500 * time.Millisecond
	chance, seed := seeded(t)
	freezes := env.Number(t, "WEIR_FREEZES", 2)
	b := startBroker(t, "--msg-timeout", msgTimeout.String())
	post(t, b, "/topic/create?topic="+killTopic, nil)
	post(t, b, "/channel/create?topic="+killTopic+"&channel=work", nil)
	rec := history.NewRecorder(uint32(seed))
	var answered, bytes, lastDue atomic.Int64
	publishers := make(chan error, 2)
	messages := 5000 * freezes
	for id, longest := range []time.Duration{0, 2 * time.Second} {
		p := &burstPublisher{addr: b.TCP(), id: uint32(id), topic: killTopic, want: messages / (1 + 9*id), longestDefer: longest, lastDue: &lastDue, rec: rec,
			answered: &answered, bytes: &bytes, chance: rand.New(rand.NewPCG(seed, uint64(id)))}
		go func() { publishers <- p.run() }()
	}
	consumers := newConsumers(b.TCP(), killTopic, rec)
	consumers.add("work", 2, 0.01, chance.Uint64())
	var worst time.Duration
	for range freezes {
		time.Sleep(time.Duration(300+chance.IntN(400)) * time.Millisecond)
		rec.Killed() // what was sent and not read before the freeze times out: deliveries before and after it are not compared
		must(t, b.Freeze())
		time.Sleep(freeze)
		thawed := time.Now()
		rec.Killed()
		must(t, b.Thaw())
		before := answered.Load()
		eventually(t, 5*time.Second, "publishers are answered again, or have all", func() bool {
			return answered.Load() > before || before >= int64(messages+messages/10)
		})
		must(t, b.Ping())
		worst = max(worst, time.Since(thawed))
	}
	for range 2 {
		must(t, <-publishers)
	}
	consumers.waitIdle(time.Unix(0, lastDue.Load()), 2*time.Second)
	consumers.close()
	report := history.Check(rec.History(), history.Rules{Channels: []string{"work"}, Drained: true, FinishWindow: 300 * time.Millisecond,
		EarlyTolerance: time.Millisecond})
	row := faultreport.Judged("SIGSTOP beyond all timeouts", freezes, report)
	row.Note = fmt.Sprintf("a lone node frozen for %v, message timeout %v; served again after %v at worst", freeze, msgTimeout, worst.Round(time.Millisecond))
	faultreport.Write(t, row)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
}
