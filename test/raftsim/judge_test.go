package raftsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/record"
)

// judge knows what every log must hold, from the first replica that applied it and from the answers.
type judge struct {
	t *testing.T

	mu      sync.Mutex
	logs    map[broker.LogID]*truth
	open    map[string]bool // bodies that were proposed and are not answered
	words   int             // how many of them were last words
	totals  *totals
	verdict []string
}

// truth is what is known of one log.
type truth struct {
	chain   map[record.Index]uint64 // digest of all entries up to the index
	base    map[string]record.Offset
	applied map[string]record.Index // by body
	refused map[string]bool
	leader  map[record.Term]catalog.NodeID // who had proposals of the term committed
	terms   map[record.Index]record.Term
	last    record.Index
}

func newJudge(t *testing.T, totals *totals) *judge {
	return &judge{t: t, logs: make(map[broker.LogID]*truth), open: make(map[string]bool), totals: totals}
}

func (j *judge) log(id broker.LogID) *truth {
	l := j.logs[id]
	if l == nil {
		l = &truth{chain: map[record.Index]uint64{0: 0}, base: map[string]record.Offset{}, applied: map[string]record.Index{},
			refused: map[string]bool{}, leader: map[record.Term]catalog.NodeID{}, terms: map[record.Index]record.Term{}}
		j.logs[id] = l
	}
	return l
}

func (j *judge) breach(format string, args ...any) {
	if len(j.verdict) < 10 {
		j.verdict = append(j.verdict, fmt.Sprintf(format, args...))
	}
}

// asked notes that a proposal is about to be made.
func (j *judge) asked(body string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open[body] = true
}

// lastWords makes up what a machine proposes when it is told that it leads no more.
func (j *judge) lastWords() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.words++
	body := fmt.Sprint(lastWords, j.words)
	j.open[body] = true
	return body
}

const lastWords = "last words "

// has tells whether a replica has applied what was proposed.
func (j *judge) has(id broker.LogID, body string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, ok := j.log(id).applied[body]
	return ok
}

// count returns what there was so far.
func (j *judge) count() totals {
	j.mu.Lock()
	defer j.mu.Unlock()
	return *j.totals
}

// unanswered returns how many proposals have had no answer so far.
func (j *judge) unanswered() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.open)
}

// check reports what was found, when all nodes are closed.
func (j *judge) check() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for body := range j.open {
		j.breach("%q was never answered", body)
	}
	for _, v := range j.verdict {
		j.t.Error(v)
	}
}

// machine is one replica's state machine: its state is the digest of all that it applied. It implements broker.Machine.
type machine struct {
	judge *judge
	id    broker.LogID
	node  catalog.NodeID
	log   broker.Log

	mu      sync.Mutex
	at      record.Index
	next    record.Offset
	digest  uint64
	leading bool
	failed  error
}

// Apply implements broker.Machine.
func (m *machine) Apply(e *record.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.judge
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Index != m.at+1 || e.Base != m.next {
		j.breach("node %d log %v: entry %d at offset %d follows %d at %d", m.node, m.id, e.Index, e.Base, m.at, m.next)
	}
	h := fnv.New64a()
	var b [8]byte
	for _, v := range [...]uint64{m.digest, uint64(e.Index), uint64(e.Term), uint64(e.Kind), uint64(e.Flags), uint64(e.Base), uint64(e.Time)} {
		binary.BigEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	h.Write(e.Payload)
	m.at, m.next, m.digest = e.Index, e.Next(), h.Sum64()
	l := j.log(m.id)
	if want, known := l.chain[e.Index]; known && want != m.digest {
		j.breach("node %d log %v: entry %d (term %d, kind %d) differs from what another replica applied", m.node, m.id, e.Index, e.Term, e.Kind)
	}
	l.chain[e.Index] = m.digest
	l.terms[e.Index] = e.Term
	l.last = max(l.last, e.Index)
	for i, body := range bodies(e) {
		if at, twice := l.applied[body]; twice && at != e.Index {
			j.breach("log %v: %q is at %d and at %d", m.id, body, at, e.Index)
		}
		if l.refused[body] {
			j.breach("log %v: %q was refused, and is at %d", m.id, body, e.Index)
		}
		if m.leading && strings.HasPrefix(body, lastWords) {
			j.breach("node %d log %v: leads already when %q is applied, at %d", m.node, m.id, body, e.Index)
		}
		l.applied[body] = e.Index
		l.base[body] = e.Base + record.Offset(i)
	}
}

// bodies returns what was proposed in an entry: the messages of a batch, or the change.
func bodies(e *record.Entry) []string {
	switch e.Kind {
	case record.KindControl:
		return []string{string(e.Payload)}
	case record.KindBatch:
		var list []string
		for it := record.Batch(e.Payload).Records(); it.Next(); {
			list = append(list, string(it.Record().Value))
		}
		return list
	}
	return nil
}

// Restore implements broker.Machine.
func (m *machine) Restore(state []byte, at record.Index) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.judge.mu.Lock()
	defer m.judge.mu.Unlock()
	if m.leading {
		m.judge.breach("node %d log %v: restored while leading", m.node, m.id)
	}
	m.judge.totals.Snapshots++
	return m.load(state, at)
}

// load reads a state, under both mutexes.
func (m *machine) load(state []byte, at record.Index) error {
	if len(state) != 24 || record.Index(binary.BigEndian.Uint64(state)) != at {
		return errors.New("malformed state")
	}
	m.at, m.next, m.digest = at, record.Offset(binary.BigEndian.Uint64(state[8:])), binary.BigEndian.Uint64(state[16:])
	if want := m.judge.log(m.id).chain[at]; want != m.digest {
		m.judge.breach("node %d log %v: the state at %d differs from what was applied", m.node, m.id, at)
	}
	return nil
}

// state encodes what is applied.
func (m *machine) state() ([]byte, record.Index) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := binary.BigEndian.AppendUint64(nil, uint64(m.at))
	b = binary.BigEndian.AppendUint64(b, uint64(m.next))
	return binary.BigEndian.AppendUint64(b, m.digest), m.at
}

// Lead implements broker.Machine. A machine that stops has something left to record.
func (m *machine) Lead(leading bool) {
	m.lead(leading)
	if !leading {
		body := m.judge.lastWords()
		m.log.Propose(&broker.Proposal{Kind: record.KindControl, Payload: []byte(body), Owner: &answer{m.judge, m.id, m.node, body}})
	}
}

func (m *machine) lead(leading bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.judge.mu.Lock()
	defer m.judge.mu.Unlock()
	if m.leading == leading {
		m.judge.breach("node %d log %v: Lead(%v) twice", m.node, m.id, leading)
	}
	m.leading = leading
	if leading {
		m.judge.totals.Leaderships++
	}
}

// Failed implements broker.Machine.
func (m *machine) Failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
}

func (m *machine) isLeading() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leading
}

// answer is the owner of a proposal.
type answer struct {
	judge *judge
	id    broker.LogID
	node  catalog.NodeID
	body  string
}

// Proposed implements broker.Owner.
func (a *answer) Proposed(p *broker.Proposal) {
	j := a.judge
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.log(a.id)
	if !j.open[a.body] {
		j.breach("log %v: %q was answered twice", a.id, a.body)
	}
	delete(j.open, a.body)
	if strings.HasPrefix(a.body, lastWords) {
		if p.Err == nil {
			j.totals.WordsTaken++
		} else {
			j.totals.WordsRefused++
		}
	}
	switch {
	case p.Err == nil:
		j.totals.Committed++
		if at, ok := l.applied[a.body]; !ok || at != p.Index {
			j.breach("log %v: %q was answered at %d, and is at %d", a.id, a.body, p.Index, at)
		}
		if p.Kind == record.KindBatch && l.base[a.body] != p.Base {
			j.breach("log %v: %q was answered at offset %d, and is at %d", a.id, a.body, p.Base, l.base[a.body])
		}
	case errors.Is(p.Err, broker.ErrUnknown):
		j.totals.Unknown++
	default:
		if errors.Is(p.Err, broker.ErrFull) {
			j.totals.Full++
		} else {
			j.totals.NotLeader++
		}
		l.refused[a.body] = true
		if at, ok := l.applied[a.body]; ok {
			j.breach("log %v: %q was refused (%v), and is at %d", a.id, a.body, p.Err, at)
		}
	}
}
