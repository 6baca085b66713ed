package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// leaderWait is how long a batch looks for a partition with a leader before its publisher is told that there is none.
	leaderWait = 3 * time.Second
	// routePause is how long a batch that found no leader rests before it looks again.
	routePause = 20 * time.Millisecond
)

// route is a batch's way to a leader.
type route struct {
	forwarded bool // given to another node
	attempts  int  // how often it was refused for want of a leader
	deadline  time.Time
}

// expired reports that it is time to give up.
func (r *route) expired() bool { return time.Now().After(r.deadline) }

// router finds partitions for batches that this node cannot append: it leads none of the topic's, or has just lost one. A batch
// goes to another node's leader, by Cluster.Publish; one for which no leader is known waits, behind those that wait already.
//
// Concurrency: mu guards the list; run is the only one that takes from it. Batches are bounded by the broker's budget.
type router struct {
	broker *Broker
	wakeC  chan struct{}

	mu struct {
		sync.Mutex
		parked []*Proposal
		closed bool
	}
}

func newRouter(b *Broker) *router { return &router{broker: b, wakeC: make(chan struct{}, 1)} }

// send finds a place for p, whose Owner is a publication.
func (r *router) send(p *Proposal) {
	p.route = &route{deadline: time.Now().Add(leaderWait)}
	r.mu.Lock()
	waits := len(r.mu.parked) > 0
	r.mu.Unlock()
	if waits || !r.try(p) {
		r.park(p)
	}
}

// park lets p wait for its next attempt.
func (r *router) park(p *Proposal) {
	r.mu.Lock()
	closed := r.mu.closed
	if !closed {
		r.mu.parked = append(r.mu.parked, p)
	}
	r.mu.Unlock()
	if closed {
		answerProposal(p, ErrClosed)
		return
	}
	select {
	case r.wakeC <- struct{}{}:
	default:
	}
}

// retry takes back a batch that was refused without being appended because its partition has no leader, or another one. It
// reports false if the error is of another kind or there is no time left; p.Err is what the publisher is to hear then.
func (r *router) retry(p *Proposal) bool {
	moved := errors.Is(p.Err, ErrNotLeader) || errors.Is(p.Err, ErrNoLeader)
	if r.broker.options.Cluster == nil || p.topic.ephemeral || !moved || errors.Is(p.Err, ErrUnknown) {
		return false
	}
	if p.route == nil {
		p.route = &route{deadline: time.Now().Add(leaderWait)}
	} else if p.route.expired() {
		p.Err = fmt.Errorf("publish to %s: %w", p.topic.name, ErrNoLeader)
		return false
	}
	p.Err = nil
	p.route.attempts++
	p.Payload = slices.Clone(p.Payload) // the log that refused it may still look at the old one
	r.park(p)
	return true
}

// try hands p to a partition with a leader. It reports false if none is known.
func (r *router) try(p *Proposal) bool {
	t := p.topic
	if part := t.target.Load(); part != nil {
		p.route.forwarded = false
		part.log.Propose(p)
		return true
	}
	c := r.broker.options.Cluster
	self := c.Self()
	for i := range t.partitions {
		// Each node begins with a partition of its own choice, so that they spread, and after a failure goes on to the next.
		id := LogID{t.id, uint16((uint64(self) + uint64(p.route.attempts) + uint64(i)) % uint64(t.partitions))}
		if leader := c.Leader(id); leader != 0 && leader != self {
			p.route.forwarded = true
			c.Publish(id, p)
			return true
		}
	}
	return false
}

// run retries what waits until the context ends.
func (r *router) run(ctx context.Context) {
	defer r.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wakeC:
		}
		for r.pass() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(routePause):
			}
		}
	}
}

// pass tries each waiting batch once, and reports whether any is left.
func (r *router) pass() bool {
	r.mu.Lock()
	list := r.mu.parked
	r.mu.parked = nil
	r.mu.Unlock()
	var left []*Proposal
	for _, p := range list {
		switch {
		case p.topic.gone.Load():
			answerProposal(p, fmt.Errorf("publish to %s, which is deleted: %w", p.topic.name, ErrClosed))
		case r.try(p):
		case p.route.expired():
			answerProposal(p, fmt.Errorf("publish to %s: %w", p.topic.name, ErrNoLeader))
		default:
			left = append(left, p)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.parked = append(left, r.mu.parked...)
	return len(r.mu.parked) > 0
}

// close refuses what waits, and all that comes.
func (r *router) close() {
	r.mu.Lock()
	r.mu.closed = true
	list := r.mu.parked
	r.mu.parked = nil
	r.mu.Unlock()
	for _, p := range list {
		answerProposal(p, ErrClosed)
	}
}
