//go:build process

package chaos

import (
	"log"
	"math/rand/v2"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// Publishers of node i have the ids i, polite+i and batches+i; probe is that of the questions that scenarios ask.
const (
	polite  = 10
	batches = 20
	probe   = 30
)

// Traffic of each node: what is sent in a second, and how many bytes a body has.
const (
	pipelinedRate = 100
	politeRate    = 20
	batchRate     = 5
	batchSize     = 4
	bodyBytes     = 120
)

// window is how many commands a pipelined publisher keeps on the wire.
const window = 20

// pipelined publishes to a node, many commands on the wire at a time.
func (f *traffic) pipelined(n *node) {
	id := uint32(n.id)
	pace := time.NewTicker(time.Second / pipelinedRate)
	defer pace.Stop()
	for !f.stopped() {
		conn, err := rawnsq.NewPublisher(n.tcp(), window, func(tag uint64, err error) { f.outcome(history.Key{Publisher: id, Seq: uint32(tag)}, err) })
		if err != nil {
			f.sleep(100 * time.Millisecond)
			continue
		}
		for broken := false; !broken && !f.stopped(); <-pace.C {
			key := f.next(id, 1)
			f.rec.Sent(key, 0)
			broken = conn.Publish(uint64(key.Seq), rawnsq.AppendPub(nil, topic, f.rec.Body(key, bodyBytes))) != nil || conn.Flush() != nil
		}
		if f.stopped() {
			_ = conn.Wait()
		}
		conn.Close()
	}
}

// ordinary returns the settings of a go-nsq client that notices within seconds that its connection is dead.
func ordinary() *nsq.Config {
	config := nsq.NewConfig()
	config.DialTimeout = time.Second
	config.HeartbeatInterval = time.Second
	config.ReadTimeout = 5 * time.Second
	config.WriteTimeout = 2 * time.Second
	return config
}

// producer calls publish rate times a second with a go-nsq producer of a node.
func (f *traffic) producer(n *node, rate int, publish func(p *nsq.Producer)) {
	p, err := nsq.NewProducer(n.tcp(), ordinary())
	if err != nil {
		panic(err) // the settings are ours
	}
	p.SetLogger(log.New(discard{}, "", 0), nsq.LogLevelError)
	defer p.Stop()
	pace := time.NewTicker(time.Second / time.Duration(rate))
	defer pace.Stop()
	for !f.stopped() {
		publish(p)
		<-pace.C
	}
}

// politely publishes one message after the other, one of ten of them deferred.
func (f *traffic) politely(n *node, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, uint64(n.id)))
	f.producer(n, politeRate, func(p *nsq.Producer) {
		key := f.next(polite+uint32(n.id), 1)
		body := f.rec.Body(key, bodyBytes)
		if rng.IntN(10) == 0 {
			wait := time.Duration(100+rng.IntN(3000)) * time.Millisecond
			f.rec.Sent(key, wait)
			f.outcome(key, p.DeferredPublish(topic, wait, body))
			return
		}
		f.rec.Sent(key, 0)
		f.outcome(key, p.Publish(topic, body))
	})
}

// inBatches publishes MPUBs.
func (f *traffic) inBatches(n *node) {
	f.producer(n, batchRate, func(p *nsq.Producer) {
		first := f.next(batches+uint32(n.id), batchSize)
		var bodies [][]byte
		for i := range uint32(batchSize) {
			key := history.Key{Publisher: first.Publisher, Seq: first.Seq + i}
			f.rec.Sent(key, 0)
			bodies = append(bodies, f.rec.Body(key, bodyBytes))
		}
		err := p.MultiPublish(topic, bodies)
		for i := range uint32(batchSize) {
			f.outcome(history.Key{Publisher: first.Publisher, Seq: first.Seq + i}, err)
		}
	})
}

// ask publishes one message by HTTP. It tells whether the node said OK and how long that took.
func (f *traffic) ask(n *node, patience time.Duration) (accepted bool, took time.Duration, err error) {
	key := f.next(probe, 1)
	f.rec.Sent(key, 0)
	begun := time.Now()
	text, status, err := n.request("POST", "/pub?topic="+topic, string(f.rec.Body(key, bodyBytes)), patience)
	took = time.Since(begun)
	if accepted = err == nil && status == 200; accepted {
		f.rec.Answered(key)
		return true, took, nil
	}
	f.rec.Unknown(key)
	if err == nil {
		err = rawnsq.BrokerError(text)
	}
	return false, took, err
}
