//go:build process

package chaos

import (
	"bytes"
	"fmt"
	"log"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/history"
)

// drainPatience is how long what was answered may take to be delivered after the last fault: the message timeout and more.
const drainPatience = 60 * time.Second

// channels of the topic, and how many messages their consumers take at a time.
var channels = map[string][]int{"work": {10, 1}, "audit": {50}}

// traffic publishes through every node and consumes as ordinary clients do, and keeps the history.
type traffic struct {
	cluster   *cluster
	rec       *history.Recorder
	stopC     chan struct{}
	running   sync.WaitGroup
	sequences [64]atomic.Uint32 // by publisher: the next one
	answered  atomic.Int64
	consumers []*nsq.Consumer

	trace struct { // every delivery, to be written out when the history breaks a promise
		sync.Mutex
		lines bytes.Buffer
	}
	hopeless struct {
		sync.Mutex
		from   map[uint32]uint32 // by publisher whose node reaches no majority: sequences from here on cannot be OK
		broken []string          // those that were
	}
}

// startTraffic begins to publish and to consume.
func startTraffic(c *cluster, seed uint64) (*traffic, error) {
	f := &traffic{cluster: c, rec: history.NewRecorder(uint32(seed)), stopC: make(chan struct{})}
	for channel, consumers := range channels {
		for i, maxInFlight := range consumers {
			if err := f.consume(channel, maxInFlight, seed+uint64(i)); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range c.nodes {
		f.running.Go(func() { f.pipelined(n) })
		f.running.Go(func() { f.politely(n, seed) })
		f.running.Go(func() { f.inBatches(n) })
	}
	return f, nil
}

func (f *traffic) stopped() bool {
	select {
	case <-f.stopC:
		return true
	default:
		return false
	}
}

func (f *traffic) sleep(d time.Duration) {
	select {
	case <-f.stopC:
	case <-time.After(d):
	}
}

// next takes sequence numbers of a publisher and returns the first.
func (f *traffic) next(publisher uint32, count uint32) history.Key {
	return history.Key{Publisher: publisher, Seq: f.sequences[publisher].Add(count) - count}
}

// outcome records what a publisher heard. An error of a cluster may leave open whether the message is there.
func (f *traffic) outcome(key history.Key, err error) {
	if err != nil {
		f.rec.Unknown(key)
		return
	}
	f.rec.Answered(key)
	f.answered.Add(1)
	f.hopeless.Lock()
	defer f.hopeless.Unlock()
	if from, ok := f.hopeless.from[key.Publisher]; ok && key.Seq >= from {
		f.hopeless.broken = append(f.hopeless.broken, key.String())
	}
}

// expectNoOK begins a time in which the nodes reach no majority. The function that it returns ends it, before that is healed, and
// tells of the messages that were sent and answered OK all the same.
func (f *traffic) expectNoOK(nodes []*node) (end func() error) {
	f.hopeless.Lock()
	defer f.hopeless.Unlock()
	f.hopeless.from = map[uint32]uint32{}
	for _, n := range nodes {
		for _, kind := range []uint32{0, polite, batches} {
			publisher := kind + uint32(n.id)
			f.hopeless.from[publisher] = f.sequences[publisher].Load()
		}
	}
	return func() error {
		f.hopeless.Lock()
		defer f.hopeless.Unlock()
		f.hopeless.from = nil
		if len(f.hopeless.broken) > 0 {
			return fmt.Errorf("without a majority %d messages were answered OK: %v", len(f.hopeless.broken), f.hopeless.broken)
		}
		return nil
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// consume runs a go-nsq consumer that finds the nodes by lookup and sends one message of forty back.
func (f *traffic) consume(channel string, maxInFlight int, seed uint64) error {
	config := ordinary()
	config.MaxInFlight = maxInFlight
	config.MaxAttempts = 0
	config.LookupdPollInterval = 500 * time.Millisecond
	config.LookupdPollJitter = 0
	config.LookupdPollTimeout = 2 * time.Second
	config.MaxBackoffDuration = 0
	c, err := nsq.NewConsumer(topic, channel, config)
	if err != nil {
		return err
	}
	c.SetLogger(log.New(discard{}, "", 0), nsq.LogLevelError)
	rng := rand.New(rand.NewPCG(seed, 7)) // of the one goroutine that handles
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		key, ok := f.rec.Delivered(channel, m.Body, m.Attempts)
		f.trace.Lock()
		fmt.Fprintf(&f.trace.lines, "%s %s %s attempts %d from %s id %s\n", time.Now().UTC().Format("15:04:05.000000"), channel, key, m.Attempts, m.NSQDAddress, m.ID[:])
		f.trace.Unlock()
		if !ok {
			return nil
		}
		if rng.IntN(40) == 0 && !f.stopped() {
			delay := time.Duration(rng.IntN(500)) * time.Millisecond
			f.rec.Requeued(channel, key, delay)
			m.RequeueWithoutBackoff(delay)
			return nil
		}
		f.rec.Finished(channel, key)
		return nil
	}))
	var lookups []string
	for _, n := range f.cluster.nodes {
		lookups = append(lookups, n.lookup())
	}
	f.consumers = append(f.consumers, c)
	return c.ConnectToNSQLookupds(lookups)
}

// stopPublishing ends the publishers and waits for their answers.
func (f *traffic) stopPublishing() {
	close(f.stopC)
	f.running.Wait()
}

// drain waits until everything answered is delivered and finished, and returns the judgement.
func (f *traffic) drain(d *disturbances) *history.Report {
	rules := history.Rules{Drained: true, FinishWindow: finishWindow, StopMargin: finishWindow, EarlyTolerance: 5 * time.Millisecond,
		BatchSizes: map[uint32]int{}}
	for channel := range channels {
		rules.Channels = append(rules.Channels, channel)
	}
	for _, n := range f.cluster.nodes {
		rules.BatchSizes[batches+uint32(n.id)] = batchSize
	}
	for end := time.Now().Add(drainPatience); ; time.Sleep(500 * time.Millisecond) {
		h := f.rec.History()
		d.Mark(h)
		report := history.Check(h, rules)
		if report.Count(history.Lost)+report.Count(history.TornBatch) == 0 || time.Now().After(end) {
			return report
		}
	}
}

// stopConsuming ends the consumers.
func (f *traffic) stopConsuming() {
	for _, c := range f.consumers {
		c.Stop()
	}
	for _, c := range f.consumers {
		<-c.StopChan
	}
}
