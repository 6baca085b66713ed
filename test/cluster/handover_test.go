//go:build process

package cluster

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestPlannedMovesForgetNoFinish moves leadership back and forth under load, without any fault: a node stops, others take its partitions
// over; it comes back and takes them back. No finish that a node has taken may be forgotten, however late it came.
//
// FIN has no answer, so each consumer also publishes, to an ephemeral topic of its node, one message after the other on the same
// connection. The FINs before a PUB are carried out before its OK, in one burst with it at the latest, and those of a burst that
// are refused are answered before anything of the next burst. So when the OK to a second PUB, sent after the first OK, is there, all FINs
// before the first one are known: refused with E_FIN_FAILED, or taken. One that is taken counts as recorded from then on, and any
// delivery with a higher count of attempts after that is a finish forgotten. WEIR_MOVES changes how many nodes are stopped.
func TestPlannedMovesForgetNoFinish(t *testing.T) {
	stops := env.Number(t, "WEIR_MOVES", 6)
	ns, f := startTraffic(t, 500, []string{"work"}, "--log-level", "debug")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var finishers []*finisher
	var running sync.WaitGroup
	for _, n := range ns.list {
		w := &finisher{f: f, node: n}
		finishers = append(finishers, w)
		running.Go(func() { w.run(ctx) })
	}
	var moves []time.Duration
	for i := range stops {
		time.Sleep(time.Second)
		leaving, other := ns.list[i%3], ns.list[(i+1)%3]
		ns.stop(leaving)
		ns.awaitLed(f.topic, false, other, 10*time.Second)
		time.Sleep(300 * time.Millisecond)
		f.restart(leaving, other)
	}
	time.Sleep(time.Second)
	report := f.finish(30*time.Second, "work")
	cancel()
	running.Wait()
	known, refused := 0, 0
	for _, w := range finishers {
		known, refused = known+w.known, refused+w.refused
	}
	for _, n := range ns.list {
		moves = append(moves, handovers(n.logs.String()+n.process.Output())...)
	}
	slices.Sort(moves)
	if len(moves) < 2*stops || known < 1000 {
		t.Fatalf("%d moves of leadership and %d finishes known to be taken: too few to tell", len(moves), known)
	}
	t.Logf("%d stops, %d moves of leadership, of %v at the median, %v at worst; %s; "+
		"%d finishes taken, %d refused, %d of those taken forgotten", stops,
		len(moves), moves[len(moves)/2], moves[len(moves)-1], f.describe(report), known, refused, report.Count(history.DeliveredAgain))
}

var handedOver = regexp.MustCompile(`msg="leadership was handed over" log=\S+ replica=\d+ node=\d+ after=(\S+)`)

// handovers returns how long the moves took that a node's log tells of.
func handovers(log string) (took []time.Duration) {
	for _, line := range handedOver.FindAllStringSubmatch(log, -1) {
		if d, err := time.ParseDuration(line[1]); err == nil {
			took = append(took, d)
		}
	}
	return took
}

// finisher is a consumer at one node that finds out which of its finishes were taken.
type finisher struct {
	f              *traffic
	node           *clusterNode
	known, refused int

	// Of one connection: whether a PUB is unanswered, and what was finished after it, before it, and before the one before it.
	c                      *rawnsq.Consumer
	open                   bool
	since, before, earlier []sentFinish
}

type sentFinish struct {
	finish
	id rawnsq.ID
}

// run consumes until the context ends, connection after connection.
func (w *finisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := rawnsq.NewConsumer(w.node.tcp(), w.f.topic, "work", rawnsq.ConsumerOptions{Ready: 20, Failed: w.fail, Answered: w.answer})
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		w.c, w.open, w.since, w.before, w.earlier = c, false, nil, nil, nil
		stop := context.AfterFunc(ctx, func() { c.Close() })
		w.consume()
		stop()
		w.f.rec.Disconnected("work")
		c.Close()
	}
}

// consume finishes what comes until the connection ends.
func (w *finisher) consume() {
	for {
		d, err := w.c.Next()
		if err != nil {
			return
		}
		key, ok := w.f.rec.Delivered("work", d.Body, d.Attempts)
		if !ok {
			continue
		}
		at := w.f.rec.Finished("work", key)
		if w.c.Finish(d.ID) != nil {
			return
		}
		w.since = append(w.since, sentFinish{finish{key, at}, d.ID})
		w.publish()
	}
}

// publish sends the next PUB, if there is anything to find out and the last one is answered. Next flushes it.
func (w *finisher) publish() {
	if w.open || len(w.since)+len(w.earlier) == 0 {
		return
	}
	w.open, w.before, w.since = true, w.since, nil
	_, _ = w.c.Write(rawnsq.AppendPub(nil, "known#ephemeral", []byte("x"))) // an error ends Next, too
}

// answer takes the OK to a PUB.
func (w *finisher) answer() {
	for _, s := range w.earlier {
		w.f.rec.FinishRecorded("work", s.key)
	}
	w.known += len(w.earlier)
	w.open, w.earlier, w.before = false, w.before, nil
	w.publish()
}

// fail takes the refusal of a FIN.
func (w *finisher) fail(err rawnsq.BrokerError) {
	for _, list := range []*[]sentFinish{&w.earlier, &w.before, &w.since} {
		i := slices.IndexFunc(*list, func(s sentFinish) bool { return strings.Contains(string(err), " "+string(s.id[:])+" ") })
		if i < 0 {
			continue
		}
		w.f.rec.FinishRefused("work", (*list)[i].key, (*list)[i].at)
		*list = slices.Delete(*list, i, i+1)
		w.refused++
		return
	}
	w.f.t.Errorf("a refusal of no finish: %v", err)
}
