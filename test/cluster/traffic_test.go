//go:build process

package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// finishWindow is how long before a node's death a finish may be sent and still be forgotten: 100 ms, a sync, and what clients and a
// busy machine take.
const finishWindow = 400 * time.Millisecond

// traffic publishes through every node and consumes as ordinary clients do, and keeps the history.
type traffic struct {
	t     *testing.T
	nodes *nodes
	topic string
	rec   *history.Recorder
	stops history.Disturbances // while a node ends cleanly, and the connections of consumers with it

	stopC    chan struct{}
	running  sync.WaitGroup
	paused   atomic.Bool
	answered atomic.Int64
	lastOK   [8]atomic.Int64
	widest   [8]atomic.Int64 // by publisher: longest time between two OKs, ns
	consumer []*nsq.Consumer
}

// startTraffic starts three nodes with flags and a topic with channels, and publishes at each node, at most rate a second.
func startTraffic(t *testing.T, rate int, channels []string, flags ...string) (*nodes, *traffic) {
	t.Helper()
	ns := startNodes(t, 3, flags...)
	f := &traffic{t: t, nodes: ns, topic: "orders", rec: history.NewRecorder(uint32(time.Now().UnixNano())), stopC: make(chan struct{})}
	prepare(ns, f.topic, channels...)
	for i, n := range ns.list {
		f.publishAt(n, uint32(i), 50, rate)
	}
	return ns, f
}

// publishAt publishes to one node, window commands on the wire, at most rate a second.
func (f *traffic) publishAt(n *clusterNode, id uint32, window, rate int) {
	f.running.Go(func() {
		var sequence uint32
		pace := time.NewTicker(time.Second / time.Duration(rate) * 10)
		defer pace.Stop()
		for {
			select {
			case <-f.stopC:
				return
			default:
			}
			conn, err := rawnsq.NewPublisher(n.tcp(), window, func(tag uint64, err error) { f.outcome(id, uint32(tag), err) })
			if err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			f.lastOK[id].Store(0)
			for broken := false; !broken; {
				select {
				case <-f.stopC:
					_ = conn.Wait()
					conn.Close()
					return
				case <-pace.C:
				}
				for range 10 {
					if f.paused.Load() {
						break
					}
					key := history.Key{Publisher: id, Seq: sequence}
					body := f.rec.Body(key, 100)
					f.rec.Sent(key, 0)
					if conn.Publish(uint64(sequence), rawnsq.AppendPub(nil, f.topic, body)) != nil {
						broken = true
						break
					}
					sequence++
				}
			}
			conn.Close()
		}
	})
}

func (f *traffic) outcome(id, sequence uint32, err error) {
	key := history.Key{Publisher: id, Seq: sequence}
	var refused rawnsq.BrokerError
	switch {
	case err == nil:
		f.rec.Answered(key)
		f.answered.Add(1)
		now := time.Now().UnixNano()
		if last := f.lastOK[id].Swap(now); last != 0 && now-last > f.widest[id].Load() {
			f.widest[id].Store(now - last)
		}
	case errors.As(err, &refused):
		f.rec.Unknown(key) // an error of a cluster may leave the outcome open
	default:
		f.rec.Unknown(key)
	}
}

// consume runs a go-nsq consumer that finds the nodes by lookup.
func (f *traffic) consume(channel string, maxInFlight int) {
	f.t.Helper()
	config := nsq.NewConfig()
	config.MaxInFlight = maxInFlight
	config.LookupdPollInterval = 300 * time.Millisecond
	config.LookupdPollJitter = 0
	config.DefaultRequeueDelay = 0
	config.MaxBackoffDuration = 0
	c, err := nsq.NewConsumer(f.topic, channel, config)
	if err != nil {
		f.t.Fatal(err)
	}
	finishes := &finishes{rec: f.rec, channel: channel, sent: make(map[finishOf][]finish)}
	c.SetLogger(finishes, nsq.LogLevelError)
	c.AddHandler(nsq.HandlerFunc(func(m *nsq.Message) error {
		if key, ok := f.rec.Delivered(channel, m.Body, m.Attempts); ok {
			finishes.finished(finishOf{m.NSQDAddress, string(m.ID[:])}, key)
		}
		return nil
	}))
	var lookups []string
	for _, n := range f.nodes.list {
		lookups = append(lookups, n.lookup())
	}
	if err := c.ConnectToNSQLookupds(lookups); err != nil {
		f.t.Fatal(err)
	}
	f.consumer = append(f.consumer, c)
}

// finishes are what a go-nsq consumer has finished. As the consumer's logger it hears what go-nsq tells nobody else: which of them
// a node has refused, and that a connection is lost.
type finishes struct {
	rec     *history.Recorder
	channel string

	mu   sync.Mutex
	sent map[finishOf][]finish
}

// finishOf names a message as one node delivered it; it may deliver it more than once.
type finishOf struct{ node, id string }

type finish struct {
	key history.Key
	at  time.Time
}

// finished notes that a FIN is about to be sent.
func (f *finishes) finished(of finishOf, key history.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent[of] = append(f.sent[of], finish{key, f.rec.Finished(f.channel, key)})
}

// refusedFinish is go-nsq's line for a FIN that a node has refused.
var refusedFinish = regexp.MustCompile(`\((.+)\) protocol error - E_FIN_FAILED FIN ([0-9a-f]{16}) `)

// Output takes a line of go-nsq's log.
func (f *finishes) Output(_ int, line string) error {
	if strings.Contains(line, "IO error") {
		f.rec.Disconnected(f.channel)
	}
	said := refusedFinish.FindStringSubmatch(line)
	if said == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	of := finishOf{said[1], said[2]}
	if list := f.sent[of]; len(list) > 0 { // answers come in the order of the FINs
		f.rec.FinishRefused(f.channel, list[0].key, list[0].at)
		f.sent[of] = list[1:]
	}
	return nil
}

// finish stops publishing, waits until all that was answered has been delivered or patience ends, and checks the history.
func (f *traffic) finish(patience time.Duration, channels ...string) *history.Report {
	f.t.Helper()
	close(f.stopC)
	f.running.Wait()
	rules := history.Rules{Channels: channels, Drained: true, FinishWindow: finishWindow, Overtaking: true}
	var report *history.Report
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		h := f.rec.History()
		f.stops.Mark(h)
		report = history.Check(h, rules)
		if report.Err() == nil || time.Now().After(end) {
			break
		}
	}
	for _, c := range f.consumer {
		c.Stop()
		<-c.StopChan
	}
	if err := report.Err(); err != nil {
		f.t.Error(err)
	}
	return report
}

// restart starts a node and waits until it leads again. That loses no finish.
func (f *traffic) restart(n, witness *clusterNode) {
	f.t.Helper()
	f.nodes.start(n)
	f.nodes.awaitLed(f.topic, true, witness, 20*time.Second)
}

// stop ends a node cleanly. What consumers do meanwhile at a connection that it closes may be without effect.
func (f *traffic) stop(n *clusterNode) {
	f.t.Helper()
	begun := time.Now()
	f.nodes.stop(n)
	f.stops.Add(begun, time.Now())
}

func (f *traffic) describe(report *history.Report) string {
	return fmt.Sprintf("%d answered, %d sent, %d lost, %d phantom", report.Answered, report.Sent, report.Count(history.Lost), report.Count(history.Phantom))
}

// watchLeaders looks at the leaders of the topic's partitions as one node sees them, again and again; the function that it returns
// ends that and tells for how long any of them had none.
func (f *traffic) watchLeaders(at *clusterNode) func() time.Duration {
	stopC, gapC := make(chan struct{}), make(chan time.Duration)
	go func() {
		since := map[uint16]time.Time{}
		var widest time.Duration
		for {
			select {
			case <-stopC:
				gapC <- widest
				return
			default:
			}
			leaders, err := at.leaders(f.topic)
			now := time.Now()
			for partition, leader := range leaders {
				begun, without := since[partition]
				switch {
				case err != nil:
				case leader == 0 && !without:
					since[partition] = now
				case leader != 0 && without:
					widest = max(widest, now.Sub(begun))
					delete(since, partition)
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return func() time.Duration {
		close(stopC)
		return <-gapC
	}
}
