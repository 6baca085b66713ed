// Package pool chooses one of several destinations for each message, as the option --mode of nsq_to_http and nsq_to_nsq asks:
//
//	round-robin      one after the other, whatever becomes of it
//	hostpool         one after the other, but a destination that failed rests, at first for a second, then ever longer up to a
//	                 minute; when all rest, none does
//	epsilon-greedy   as hostpool, and the faster a destination answers the more it gets; a share of the messages, which falls
//	                 from 30 % to 1 %, goes round robin to keep the measurements fresh
//
// A Pool may be used from any goroutine.
package pool

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Modes of a Pool.
const (
	RoundRobin    = "round-robin"
	HostPool      = "hostpool"
	EpsilonGreedy = "epsilon-greedy"
)

// How long a destination rests after its first failure, and at most.
const (
	firstRest   = time.Second
	longestRest = time.Minute
)

// The share of messages that explores, at first and in the end, and what it is multiplied by for each message that explored.
const (
	firstEpsilon = 0.3
	lastEpsilon  = 0.01
	decay        = 0.99
)

// weightOfNewest is how much a new response time counts against those before.
const weightOfNewest = 0.1

// Pool chooses among destinations.
type Pool struct {
	mode string

	mu struct {
		sync.Mutex
		hosts   []*host
		next    int // round robin
		epsilon float64
	}
}

// host is one destination.
type host struct {
	name    string
	rest    time.Duration // how long it rested last; 0: it works
	until   time.Time     // end of its rest
	seconds float64       // average response time; 0: not known
}

// New returns a pool of at least one destination. A mode that is unknown is RoundRobin.
func New(mode string, names []string) *Pool {
	p := &Pool{mode: mode}
	p.mu.epsilon = firstEpsilon
	for _, name := range names {
		p.mu.hosts = append(p.mu.hosts, &host{name: name})
	}
	return p
}

// Choice is one message's destination.
type Choice struct {
	Host  string
	pool  *Pool
	host  *host
	begun time.Time
}

// Get chooses a destination. The caller tells the outcome with Mark.
func (p *Pool) Get() Choice {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.chooseLocked(now)
	return Choice{Host: h.name, pool: p, host: h, begun: now}
}

func (p *Pool) chooseLocked(now time.Time) *host {
	if p.mode != HostPool && p.mode != EpsilonGreedy {
		return p.nextLocked(p.mu.hosts)
	}
	working := slices.DeleteFunc(slices.Clone(p.mu.hosts), func(h *host) bool { return h.until.After(now) })
	if len(working) == 0 {
		working = p.mu.hosts
	}
	if p.mode == HostPool {
		return p.nextLocked(working)
	}
	if rand.Float64() < p.mu.epsilon {
		p.mu.epsilon = max(lastEpsilon, p.mu.epsilon*decay)
		return p.nextLocked(working)
	}
	return fastest(working)
}

// nextLocked returns the first of the given hosts from the round robin's place on.
func (p *Pool) nextLocked(among []*host) *host {
	for {
		h := p.mu.hosts[p.mu.next]
		p.mu.next = (p.mu.next + 1) % len(p.mu.hosts)
		if slices.Contains(among, h) {
			return h
		}
	}
}

// fastest draws a host with a chance in inverse proportion to its response time; one that was not measured yet comes first.
func fastest(among []*host) *host {
	var sum float64
	for _, h := range among {
		if h.seconds == 0 {
			return h
		}
		sum += 1 / h.seconds
	}
	at := rand.Float64() * sum
	for _, h := range among {
		if at -= 1 / h.seconds; at <= 0 {
			return h
		}
	}
	return among[len(among)-1]
}

// Mark tells what became of the message: nil if the destination has it.
func (c Choice) Mark(err error) {
	now := time.Now()
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	h := c.host
	if err != nil {
		if !h.until.After(now) { // failures that come together count once
			h.rest = min(max(firstRest, 2*h.rest), longestRest)
			h.until = now.Add(h.rest)
		}
		return
	}
	h.rest, h.until = 0, time.Time{}
	took := max(now.Sub(c.begun).Seconds(), 1e-6)
	if h.seconds == 0 {
		h.seconds = took
	}
	h.seconds += weightOfNewest * (took - h.seconds)
}
