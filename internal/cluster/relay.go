package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/cluster/peer"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
)

const (
	// relayPatience is how long a batch that surely nobody has is tried: then another partition may do, whose leader can be reached.
	relayPatience = 400 * time.Millisecond
	// unknownPatience is how long a batch is tried that a leader may have: only this log can tell.
	unknownPatience = 3 * time.Second
	// relayWindow bounds the batches under way to one log; what comes meanwhile is merged.
	relayWindow = 64
	// relayPause is the rest before another attempt, at first; it doubles up to relayPauseMax.
	relayPause    = 5 * time.Millisecond
	relayPauseMax = 100 * time.Millisecond
	// relayHeadBytes are the flags and two counts in front of a batch.
	relayHeadBytes = 9
)

// relay passes batches on to the leader of one log, in order, each under a sequence of its own. One whose outcome is lost with a
// connection or a leader is sent again under the same sequence: the leader knows what it has.
//
// Concurrency: mu guards everything, and is held for computation only. One goroutine at a time, the one that has set busy, plans,
// calls and answers; others leave it a note.
type relay struct {
	cluster *Cluster
	id      broker.LogID

	mu       sync.Mutex
	waiting  []*broker.Proposal
	until    []time.Time // of each that waits: when it is given up
	window   []*relayed  // in order of their sequences
	sequence uint64
	former   replica.Former
	busy     bool
	more     bool // something came while busy
	// resting means that an attempt has failed: nothing is sent until all calls are back and a timer has gone off.
	resting bool
	timer   bool
	pause   time.Duration
}

// relayed is one batch under way.
type relayed struct {
	proposals []*broker.Proposal
	flags     record.Flags
	messages  int
	bytes     int
	batch     record.Batch
	until     time.Time
	calling   bool
	unknown   bool // an attempt may have been carried out
}

// outcome is what the owners of proposals are to hear.
type outcome struct {
	proposals []*broker.Proposal
	err       error
}

// Publish implements broker.Cluster.
func (c *Cluster) Publish(id broker.LogID, p *broker.Proposal) {
	r := c.relayTo(id)
	r.mu.Lock()
	r.waiting, r.until = append(r.waiting, p), append(r.until, time.Now().Add(relayPatience))
	r.mu.Unlock()
	r.wake()
}

func (c *Cluster) relayTo(id broker.LogID) *relay {
	c.mu.RLock()
	r := c.relays[id]
	c.mu.RUnlock()
	if r != nil {
		return r
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r = c.relays[id]; r == nil {
		r = &relay{cluster: c, id: id, pause: relayPause}
		c.relays[id] = r
	}
	return r
}

// wake sends what can be sent, and answers what can be answered.
func (r *relay) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		r.more = true
		return
	}
	r.busy = true
	for again := true; again; again = r.more {
		r.more = false
		calls, late := r.planLocked()
		r.mu.Unlock()
		tell(late...)
		for _, b := range calls {
			r.call(b)
		}
		r.mu.Lock()
	}
	r.busy = false
}

// planLocked says what to send now, and who has waited for too long.
func (r *relay) planLocked() (calls []*relayed, late []outcome) {
	if r.resting {
		calling := slices.ContainsFunc(r.window, func(b *relayed) bool { return b.calling })
		if calling || r.timer {
			return nil, nil
		}
		if late = r.expireLocked(); len(r.window)+len(r.waiting) == 0 {
			r.resting = false
			return nil, late
		}
		r.timer = true
		time.AfterFunc(r.pause, r.rested)
		r.pause = min(2*r.pause, relayPauseMax)
		return nil, late
	}
	for _, b := range r.window {
		if !b.calling {
			calls = append(calls, b)
		}
	}
	for len(r.waiting) > 0 && len(r.window) < relayWindow {
		calls = append(calls, r.formLocked()...)
	}
	for _, b := range calls {
		b.calling = true
	}
	return calls, nil
}

// rested ends a rest.
func (r *relay) rested() {
	r.mu.Lock()
	r.resting, r.timer = false, false
	r.mu.Unlock()
	r.wake()
}

// expireLocked gives up what was tried for long enough. Nothing is under way.
func (r *relay) expireLocked() (late []outcome) {
	now := time.Now()
	kept := r.window[:0]
	for _, b := range r.window {
		switch {
		case now.Before(b.until):
			kept = append(kept, b)
		case b.unknown:
			late = append(late, outcome{b.proposals, fmt.Errorf("%w: the leader was lost, and no other has answered since", broker.ErrUnknown)})
		default:
			late = append(late, outcome{b.proposals, broker.ErrNoLeader})
		}
	}
	clear(r.window[len(kept):])
	r.window = kept
	n := 0
	for n < len(r.until) && !now.Before(r.until[n]) {
		n++
	}
	if n > 0 {
		late = append(late, outcome{slices.Clone(r.waiting[:n]), broker.ErrNoLeader})
		r.leaveLocked(n)
	}
	return late
}

// leaveLocked takes the first n out of what waits.
func (r *relay) leaveLocked(n int) {
	r.waiting, r.until = slices.Delete(r.waiting, 0, n), slices.Delete(r.until, 0, n)
}

// formLocked makes batches of the next proposals that wait, and puts them into the window.
func (r *relay) formLocked() []*relayed {
	n := min(len(r.waiting), relayWindow)
	r.former.Form(r.waiting[:n])
	first, at := len(r.window), 0
	for i := range r.former.Entries {
		e := &r.former.Entries[i]
		r.sequence++
		b := &relayed{proposals: slices.Clone(r.former.Owners[i]), flags: e.Flags, batch: record.Batch(e.Payload), until: r.until[at]}
		at += len(b.proposals)
		b.batch.SetRelay(record.Relay{Node: uint64(r.cluster.self), Life: r.cluster.options.Peer.Life.Number, Sequence: r.sequence})
		for _, p := range b.proposals {
			b.messages, b.bytes = b.messages+p.Messages, b.bytes+p.BodyBytes
		}
		r.window = append(r.window, b)
	}
	r.former.Clear()
	r.leaveLocked(n)
	return r.window[first:len(r.window):len(r.window)]
}

// call sends a batch to the leader, which may be this node by now.
func (r *relay) call(b *relayed) {
	c := r.cluster
	switch leader := c.Leader(r.id); leader {
	case 0:
		r.answered(b, broker.ErrNoLeader)
	case c.self:
		if here := c.broker.Load(); here != nil {
			here.Relayed(r.id, b.proposal(slices.Clone(b.batch), relayedHere{r, b}))
		} else {
			r.answered(b, broker.ErrNoLeader)
		}
	default:
		c.transport.Go(leader, peer.Append, methodRelay, b.request(r.id), func(_ []byte, err error) {
			if err = fromPeer(err); err != nil {
				c.refused(r.id, leader, err)
			}
			r.answered(b, err)
		})
	}
}

// answered takes the outcome of an attempt.
func (r *relay) answered(b *relayed, err error) {
	unknown := errors.Is(err, broker.ErrUnknown) || errors.Is(err, broker.ErrFailed)
	r.mu.Lock()
	b.calling = false
	if unknown && !b.unknown {
		b.unknown, b.until = true, time.Now().Add(unknownPatience)
	}
	if unknown || err != nil && again(err) {
		r.resting = true
		r.mu.Unlock()
		r.wake()
		return
	}
	r.pause = relayPause
	if i := slices.Index(r.window, b); i >= 0 {
		r.window = slices.Delete(r.window, i, i+1)
	}
	r.mu.Unlock()
	tell(outcome{b.proposals, err})
	r.wake()
}

// tell tells the owners, with no lock held.
func tell(list ...outcome) {
	for _, o := range list {
		for _, p := range o.proposals {
			p.Err = o.err
			if p.Owner != nil {
				p.Owner.Proposed(p)
			}
		}
	}
}

// request encodes a batch with what goes before it: the log, the flags, how many messages and bytes of bodies there are.
func (b *relayed) request(id broker.LogID) []byte {
	dst := appendLogID(make([]byte, 0, logIDBytes+relayHeadBytes+len(b.batch)), id)
	dst = append(dst, byte(b.flags))
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.messages))
	dst = binary.BigEndian.AppendUint32(dst, uint32(b.bytes))
	return append(dst, b.batch...)
}

func (b *relayed) proposal(batch record.Batch, owner broker.Owner) *broker.Proposal {
	return &broker.Proposal{Kind: record.KindBatch, Flags: b.flags, Payload: batch, Messages: b.messages, BodyBytes: b.bytes, Owner: owner}
}

// relayedHere hears of a batch that this node took itself.
type relayedHere struct {
	relay *relay
	batch *relayed
}

// Proposed implements broker.Owner.
func (h relayedHere) Proposed(p *broker.Proposal) {
	err := p.Err
	go h.relay.answered(h.batch, err) // it may call a log, from which this comes
}

// takeRelayed takes a batch that another node passes on.
func (c *Cluster) takeRelayed(b *broker.Broker, id broker.LogID, body []byte, r peer.Request) {
	if len(body) < relayHeadBytes {
		r.Fail(fmt.Errorf("%w: relay of %d bytes", errMalformedRequest, len(body)))
		return
	}
	got := relayed{flags: record.Flags(body[0]), messages: int(binary.BigEndian.Uint32(body[1:])), bytes: int(binary.BigEndian.Uint32(body[5:]))}
	b.Relayed(id, got.proposal(body[relayHeadBytes:], relayedAnswer{r}))
}

// relayedAnswer tells another node what became of its batch.
type relayedAnswer struct{ request peer.Request }

// Proposed implements broker.Owner.
func (a relayedAnswer) Proposed(p *broker.Proposal) {
	if p.Err != nil {
		a.request.Fail(toPeer(p.Err))
		return
	}
	a.request.Reply(nil)
}
