//go:build process

package endurance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

const (
	burstEvery   = 50 * time.Millisecond
	multiSize    = 10
	longestDefer = 3 * time.Second
)

// publisher publishes at a pace through one node and records what becomes of it. Only its goroutine uses it.
type publisher struct {
	l      *load
	id     uint32
	node   *node
	rate   int                       // messages a second
	make   func(p *publisher) []byte // the next command of TCP; nil publishes by HTTP
	chance *rand.Rand
	next   uint32 // sequence
}

// The kinds of commands.
func pub(p *publisher) []byte { return rawnsq.AppendPub(nil, topic, p.body(0)) }

func multi(p *publisher) []byte {
	bodies := make([][]byte, multiSize)
	for i := range bodies {
		bodies[i] = p.body(0)
	}
	return rawnsq.AppendMulti(nil, topic, bodies)
}

func deferred(p *publisher) []byte {
	d := p.delay()
	return rawnsq.AppendDeferred(nil, topic, d, p.body(d))
}

func (p *publisher) delay() time.Duration {
	return time.Duration(p.chance.Int64N(int64(longestDefer))).Truncate(time.Millisecond)
}

// body makes and records the next message.
func (p *publisher) body(d time.Duration) []byte {
	k := history.Key{Publisher: p.id, Seq: p.next}
	p.next++
	p.l.rec.Sent(k, d)
	size := 60 + p.chance.IntN(400)
	if p.chance.IntN(20) == 0 {
		size = 20_000 + p.chance.IntN(40_000) // so that segments fill
	}
	p.l.bytes.Add(int64(size))
	return p.l.rec.Body(k, size)
}

// run publishes until the load ends, on a new connection where one broke.
func (p *publisher) run() {
	for !p.l.over(10 * time.Millisecond) {
		if p.make == nil {
			p.byHTTP()
			continue
		}
		conn, err := rawnsq.NewPublisher(p.node.TCP(), 200, p.outcome)
		if err != nil {
			continue
		}
		for p.burst(conn) == nil && !p.l.over(burstEvery) {
		}
		_ = conn.Wait()
		conn.Close()
	}
}

// burst sends what is due in one interval.
func (p *publisher) burst(conn *rawnsq.Publisher) error {
	due := int64(p.rate) * int64(burstEvery) / int64(time.Second)
	for end := p.next + uint32(max(due, 1)); p.next < end; {
		first := p.next
		command := p.make(p)
		if err := conn.Publish(uint64(first)|uint64(p.next-first)<<32, command); err != nil {
			return err
		}
	}
	return conn.Flush()
}

// outcome records what became of a command; the tag holds its first message and how many it has.
func (p *publisher) outcome(tag uint64, err error) {
	for i := range uint32(tag >> 32) {
		p.record(history.Key{Publisher: p.id, Seq: uint32(tag) + i}, err)
	}
}

func (p *publisher) record(k history.Key, err error) {
	var refused rawnsq.BrokerError
	switch {
	case err == nil:
		p.l.rec.Answered(k)
	case errors.As(err, &refused) && len(p.l.nodes) == 1:
		p.l.rec.Refused(k)
	default: // an error of a cluster may leave the outcome open
		p.l.rec.Unknown(k)
	}
}

// byHTTP posts one message after the other until one fails.
func (p *publisher) byHTTP() {
	for !p.l.over(time.Second / time.Duration(p.rate)) {
		path, d := "/pub?topic="+topic, time.Duration(0)
		if p.next%4 == 0 {
			d = p.delay()
			path += fmt.Sprintf("&defer=%d", d.Milliseconds())
		}
		k := history.Key{Publisher: p.id, Seq: p.next}
		err := p.node.post(path, string(p.body(d)))
		if err != nil {
			p.l.rec.Unknown(k)
			return
		}
		p.l.rec.Answered(k)
	}
}
