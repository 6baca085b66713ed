package logtest

import (
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// Patience is how long the suite waits for something that must happen.
const Patience = 20 * time.Second

// Recorder is a broker.Machine that keeps what it is given and notes every breach of the contract. Any goroutine may use
// it.
type Recorder struct {
	mu struct {
		sync.Mutex
		restored record.Index // what Restore said
		entries  []record.Entry
		sums     []uint32
		leading  bool
		failed   error
		busy     bool // a callback is running
		breaches []string
		changed  chan struct{} // closed and replaced at every callback
	}
}

// NewRecorder returns a Recorder that expects the entries above index.
func NewRecorder() *Recorder {
	r := &Recorder{}
	r.mu.changed = make(chan struct{})
	return r
}

// enter notes that a callback has begun; leave that it ends.
func (r *Recorder) enter(name string) {
	r.mu.Lock()
	if r.mu.busy {
		r.breachLocked("%s runs beside another callback", name)
	}
	r.mu.busy = true
	r.mu.Unlock()
}

func (r *Recorder) leave(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.mu.busy = false
	close(r.mu.changed)
	r.mu.changed = make(chan struct{})
}

func (r *Recorder) breachLocked(format string, args ...any) {
	if len(r.mu.breaches) < 20 {
		r.mu.breaches = append(r.mu.breaches, fmt.Sprintf(format, args...))
	}
}

// Apply implements broker.Machine.
func (r *Recorder) Apply(e *record.Entry) {
	r.enter("Apply")
	r.leave(func() {
		if n := len(r.mu.entries); n > 0 {
			r.compareLocked(&r.mu.entries[n-1], e)
		} else if at := r.mu.restored; at != 0 && e.Index != at+1 {
			r.breachLocked("entry %d follows a Restore at %d", e.Index, at)
		}
		r.mu.entries = append(r.mu.entries, *e)
		r.mu.sums = append(r.mu.sums, crc32.ChecksumIEEE(e.Payload))
	})
}

// Restore implements broker.Machine: what was given so far is forgotten, and the next entry must be the one above at.
func (r *Recorder) Restore(state []byte, at record.Index) error {
	r.enter("Restore")
	r.leave(func() {
		if r.mu.leading {
			r.breachLocked("Restore at %d while leading", at)
		}
		if last := r.lastLocked(); at < last {
			r.breachLocked("Restore at %d, below entry %d", at, last)
		}
		r.mu.restored, r.mu.entries, r.mu.sums = at, nil, nil
	})
	return nil
}

// Restored returns the index of the last Restore, 0 if there was none.
func (r *Recorder) Restored() record.Index {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.restored
}

func (r *Recorder) lastLocked() record.Index {
	if n := len(r.mu.entries); n > 0 {
		return r.mu.entries[n-1].Index
	}
	return r.mu.restored
}

// compareLocked checks an entry against the one before it.
func (r *Recorder) compareLocked(last, e *record.Entry) {
	switch {
	case e.Index != last.Index+1:
		r.breachLocked("entry %d follows entry %d", e.Index, last.Index)
	case e.Base != last.Next():
		r.breachLocked("entry %d begins at offset %d, the one before ends at %d", e.Index, e.Base, last.Next())
	case e.Time < last.Time:
		r.breachLocked("entry %d was appended at %d, the one before at %d", e.Index, e.Time, last.Time)
	case e.Term < last.Term:
		r.breachLocked("entry %d has term %d, the one before %d", e.Index, e.Term, last.Term)
	}
}

// Lead implements broker.Machine.
func (r *Recorder) Lead(leading bool) {
	r.enter("Lead")
	r.leave(func() {
		if r.mu.leading == leading {
			r.breachLocked("Lead(%v) twice", leading)
		}
		r.mu.leading = leading
	})
}

// Failed implements broker.Machine.
func (r *Recorder) Failed(err error) {
	r.enter("Failed")
	r.leave(func() {
		if err == nil || r.mu.failed != nil {
			r.breachLocked("Failed(%v) after %v", err, r.mu.failed)
		}
		r.mu.failed = err
	})
}

// Entries returns what was applied so far.
func (r *Recorder) Entries() []record.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.entries[:len(r.mu.entries):len(r.mu.entries)]
}

// Last returns the index of the last applied entry or, if none came after it, of the last Restore; 0 if there was neither.
func (r *Recorder) Last() record.Index {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastLocked()
}

// Leading tells whether the machine leads.
func (r *Recorder) Leading() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.leading
}

// Failure returns what Failed was called with.
func (r *Recorder) Failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.failed
}

// Check fails the test for each breach of the contract, and for payloads that changed after they were applied.
func (r *Recorder) Check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.mu.breaches {
		t.Error(b)
	}
	for i, e := range r.mu.entries {
		if crc32.ChecksumIEEE(e.Payload) != r.mu.sums[i] {
			t.Errorf("the payload of entry %d changed after it was applied", e.Index)
		}
	}
}

// Wait returns when cond holds, which is evaluated at least after each callback; it fails the test if that takes too
// long. It must be called from the test's goroutine.
func (r *Recorder) Wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	if !r.await(cond) {
		t.Fatalf("waited %v for: %s", Patience, what)
	}
}

// await tells whether cond came to hold within Patience.
func (r *Recorder) await(cond func() bool) bool {
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond) // for conditions that change outside a callback
	defer again.Stop()
	for {
		r.mu.Lock()
		changed := r.mu.changed
		r.mu.Unlock()
		if cond() {
			return true
		}
		select {
		case <-changed:
		case <-again.C:
		case <-deadline.C:
			return false
		}
	}
}

// Waiter is a broker.Owner of one proposal that a test waits for.
type Waiter struct {
	recorder *Recorder
	answers  atomic.Int32
	doneC    chan *broker.Proposal
}

// Proposed implements broker.Owner.
func (w *Waiter) Proposed(p *broker.Proposal) {
	if r := w.recorder; r != nil && p.Err == nil {
		r.mu.Lock()
		if n := len(r.mu.entries); p.Kind == record.KindBatch && (n == 0 || r.mu.entries[n-1].Next() <= p.Base) {
			r.breachLocked("proposal at offset %d was answered before it was applied", p.Base)
		}
		r.mu.Unlock()
	}
	if w.answers.Add(1) > 1 {
		panic("logtest: a proposal was answered twice")
	}
	w.doneC <- p
}

// Propose proposes without waiting. r may be nil.
func Propose(l broker.Log, r *Recorder, kind record.Kind, payload []byte) *Waiter {
	w := &Waiter{recorder: r, doneC: make(chan *broker.Proposal, 1)}
	l.Propose(&broker.Proposal{Kind: kind, Payload: payload, Owner: w})
	return w
}

// Outcome waits for the proposal to be answered.
func (w *Waiter) Outcome(t testing.TB) *broker.Proposal {
	t.Helper()
	select {
	case p := <-w.doneC:
		return p
	case <-time.After(Patience):
		t.Fatalf("a proposal got no answer for %v", Patience)
		return nil
	}
}

// Answered tells whether the proposal was answered.
func (w *Waiter) Answered() bool { return w.answers.Load() > 0 }
