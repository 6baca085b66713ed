//go:build process

package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/env"
	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/proc"
)

// clientSlack is what a finish may take from the client's buffer to the broker on a busy machine.
const clientSlack = 50 * time.Millisecond

// TestNothingAcknowledgedIsLostToKills publishes on pipelining connections and consumes on two channels while the node is killed
// again and again, every other time once more while it is starting. Nothing that is finished is kept, and some bodies are large: segments
// fill, are trimmed, and checkpoints are written all the time. WEIR_KILL_MESSAGES, WEIR_KILL_DEFERRED and WEIR_KILLS change its
// size, WEIR_SEED its course.
func TestNothingAcknowledgedIsLostToKills(t *testing.T) {
	for _, sync := range []string{"always", "os"} {
		t.Run("sync="+sync, func(t *testing.T) {
			chance, seed := seeded(t)
			k := &killRun{
				t: t, sync: sync, chance: chance, rec: history.NewRecorder(uint32(seed)),
				broker:   startBroker(t, "--sync", sync, "--retain", "0s"),
				messages: env.Number(t, "WEIR_KILL_MESSAGES", 100_000),
				deferred: env.Number(t, "WEIR_KILL_DEFERRED", 10_000),
				kills:    env.Number(t, "WEIR_KILLS", 5),
			}
			k.run()
		})
	}
}

// killRun is one course of the test.
type killRun struct {
	t                         *testing.T
	sync                      string
	chance                    *rand.Rand
	rec                       *history.Recorder
	broker                    *proc.Broker
	messages, deferred, kills int
	answered                  atomic.Int64
	bytes                     atomic.Int64 // of bodies published
	lastDue                   atomic.Int64
	slowestSync               atomic.Int64
	early                     int           // kills of a node that was still starting
	recycled                  int           // segments found after kills that were written over deleted ones
	ready                     time.Duration // what the latest whole start took
}

const (
	killTopic        = "orders"
	publishers       = 4
	multiPublisher   = 4 // the publisher number that uses MPUB
	multiBatches     = 500
	multiSize        = 20
	deferPublisher   = 5
	largePublisher   = 6 // whose bodies fill segments
	longestDefer     = 8 * time.Second
	publishBurst     = 250
	longestBurstRest = 200 * time.Millisecond
)

func (k *killRun) run() {
	post(k.t, k.broker, "/topic/create?topic="+killTopic, nil)
	for _, channel := range []string{"work", "audit"} {
		post(k.t, k.broker, "/channel/create?topic="+killTopic+"&channel="+channel, nil)
	}
	probe := startProbe(k.broker.TCP(), "probe", &k.slowestSync)
	consumers := newConsumers(k.broker.TCP(), killTopic, k.rec)
	consumers.add("work", 2, 0.01, k.chance.Uint64())
	consumers.add("audit", 1, 0, 0)

	published := make(chan error, 1)
	seed := k.chance.Uint64()
	go func() { published <- k.publish(seed) }()
	k.killAtRandom()
	if err := <-published; err != nil {
		k.t.Fatal(err)
	}
	consumers.waitIdle(time.Unix(0, k.lastDue.Load()), 2*time.Second)
	probe.stop()
	consumers.close()
	k.rec.Stopped()
	stop(k.t, k.broker)

	start(k.t, k.broker)
	again := newConsumers(k.broker.TCP(), killTopic, k.rec)
	again.add("work", 1, 0, 0)
	again.add("audit", 1, 0, 0)
	time.Sleep(1500 * time.Millisecond)
	again.close()
	k.check()
}

// publish has every publisher go on until it has its share of OKs.
func (k *killRun) publish(seed uint64) error {
	var all sync.WaitGroup
	errs := make(chan error, publishers+3)
	launch := func(p *burstPublisher) {
		p.addr, p.rec, p.answered, p.bytes = k.broker.TCP(), k.rec, &k.answered, &k.bytes
		p.chance = rand.New(rand.NewPCG(seed, uint64(p.id)))
		all.Go(func() { errs <- p.run() })
	}
	for id := range uint32(publishers) {
		launch(&burstPublisher{id: id, want: k.messages / publishers, topic: killTopic})
	}
	launch(&burstPublisher{id: largePublisher, want: k.messages / 100, topic: killTopic, largest: 64 << 10})
	launch(&burstPublisher{id: multiPublisher, want: multiBatches, topic: killTopic, multi: multiSize})
	launch(&burstPublisher{id: deferPublisher, want: k.deferred, topic: killTopic, longestDefer: longestDefer, lastDue: &k.lastDue})
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// killAtRandom kills and restarts the node at random moments of the publishing.
func (k *killRun) killAtRandom() {
	total := int64(k.messages + k.messages/100 + k.deferred + multiBatches)
	for i := range k.kills {
		share := (float64(i) + k.chance.Float64()) / float64(k.kills)
		at := int64(0.05*float64(total) + 0.9*share*float64(total))
		for end := time.Now().Add(2 * time.Minute); k.answered.Load() < at; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				k.t.Fatalf("publishing stands still at %d of %d", k.answered.Load(), total)
			}
		}
		time.Sleep(time.Duration(k.chance.Int64N(int64(30 * time.Millisecond))))
		k.kill()
		if i%2 == 1 {
			k.killStarting()
		}
		k.ready = start(k.t, k.broker)
		k.t.Logf("kill %d after %d OKs; ready again in %v", i+1, at, k.ready.Round(time.Millisecond))
	}
}

func (k *killRun) kill() {
	k.rec.Killed()
	if err := k.broker.Kill(); err != nil {
		k.t.Fatal(err)
	}
	k.recycled += recycledSegments(k.t, k.broker)
}

// recycledSegments counts the segments of a node that does not run whose header says that the file had another life (docs/format/segment.md).
func recycledSegments(t *testing.T, b *proc.Broker) (n int) {
	t.Helper()
	for _, pattern := range []string{"*.log", "*.new"} {
		names, err := filepath.Glob(filepath.Join(b.DataPath, "logs", "*", pattern))
		must(t, err)
		for _, name := range names {
			head := make([]byte, 6)
			f, err := os.Open(name)
			must(t, err)
			_, err = io.ReadFull(f, head)
			f.Close()
			if err == nil && string(head[:4]) == "WSEG" && head[5]&2 != 0 {
				n++
			}
		}
	}
	return n
}

// killStarting starts the node and kills it at a random moment of the time that a start takes.
func (k *killRun) killStarting() {
	if err := k.broker.Launch(); err != nil {
		k.t.Fatal(err)
	}
	time.Sleep(time.Duration(k.chance.Int64N(int64(k.ready) + 1)))
	k.early++
	k.kill()
}

func (k *killRun) check() {
	window := 100*time.Millisecond + time.Duration(k.slowestSync.Load()) + clientSlack
	report := history.Check(k.rec.History(), history.Rules{
		Channels: []string{"work", "audit"}, Drained: true, Ordered: []string{"audit"},
		FinishWindow: window, EarlyTolerance: time.Millisecond,
		BatchSizes: map[uint32]int{multiPublisher: multiSize},
	})
	var table strings.Builder
	report.Fprint(&table)
	k.t.Logf("slowest lone publish %v, so the window is %v\n%s",
		time.Duration(k.slowestSync.Load()).Round(time.Microsecond), window.Round(time.Millisecond), table.String())
	if path := os.Getenv("WEIR_REPORT"); path != "" {
		appendReport(k.t, path, table.String())
	}
	if err := report.Err(); err != nil {
		k.t.Error(err)
	}
	if want := k.messages/publishers*publishers + k.messages/100 + multiBatches*multiSize + k.deferred; report.Answered < want {
		k.t.Errorf("%d answered OK, want %d", report.Answered, want)
	}
	if report.Kills != k.kills+k.early {
		k.t.Errorf("%d kills, want %d", report.Kills, k.kills+k.early)
	}
	if k.recycled == 0 && k.kills >= 20 { // of a few kills none may find the log in such a segment
		k.t.Error("no segment was written over a deleted one: the kills show nothing of that")
	}
	disk, err := k.broker.DiskBytes()
	must(k.t, err)
	row := faultreport.Judged("kill -9 under load", report.Kills, report)
	row.Note = fmt.Sprintf("--sync=%s: %d of the kills while starting; %d recycled segments found after kills; "+
		"%d MiB of bodies answered, %d MiB of disk taken at the end",
		k.sync, k.early, k.recycled, k.bytes.Load()>>20, disk>>20)
	faultreport.Write(k.t, row)
	if got := k.bytes.Load(); disk > got/2 {
		k.t.Errorf("%d MiB of disk are taken after %d MiB have been finished: nothing was trimmed", disk>>20, got>>20)
	}
}

func appendReport(t *testing.T, path, text string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\n%s\n", t.Name(), text)
}
