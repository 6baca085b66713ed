//go:build process

package chaos

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// queueLimit is how many packets wait in a slow link; more are dropped.
const queueLimit = 1000

// conditions are what a link does to packets. The zero value delivers at once.
type conditions struct {
	cut     bool
	delay   time.Duration // of each packet
	jitter  time.Duration // more delay, drawn for each
	loss    float64       // share that is dropped
	reorder float64       // share that overtakes those in the queue
}

// link is the way from one machine to another. One goroutine calls carry; set may be called by any.
type link struct {
	to      *os.File
	now     atomic.Pointer[conditions]
	rng     *rand.Rand // of carry's goroutine
	queue   chan delayed
	running sync.WaitGroup
}

type delayed struct {
	packet []byte
	due    time.Time
}

func newLink(to *os.File, seed uint64) *link {
	l := &link{to: to, rng: rand.New(rand.NewPCG(seed, 1)), queue: make(chan delayed, queueLimit)}
	l.set(conditions{})
	l.running.Go(l.deliver)
	return l
}

func (l *link) set(c conditions) { l.now.Store(&c) }

// carry takes a packet, which stays the caller's.
func (l *link) carry(packet []byte) {
	c := l.now.Load()
	switch {
	case c.cut || c.loss > 0 && l.rng.Float64() < c.loss:
		return
	case c.delay == 0 && c.jitter == 0 || c.reorder > 0 && l.rng.Float64() < c.reorder:
		l.to.Write(packet) // a full interface drops it, as networks do
		return
	}
	due := time.Now().Add(c.delay + time.Duration(l.rng.Int64N(int64(c.jitter)+1)))
	select {
	case l.queue <- delayed{append([]byte(nil), packet...), due}:
	default:
	}
}

// deliver writes what the queue holds, in order, each when it is due.
func (l *link) deliver() {
	for d := range l.queue {
		time.Sleep(time.Until(d.due))
		if !l.now.Load().cut {
			l.to.Write(d.packet)
		}
	}
}

// close ends the link; carry is called no more.
func (l *link) close() {
	close(l.queue)
	l.running.Wait()
}
