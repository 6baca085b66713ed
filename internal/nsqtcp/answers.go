package nsqtcp

import (
	"sync"

	"github.com/weirmq/weir/internal/nsqwire"
)

const (
	// maxUnanswered bounds the commands of a session that are owed an answer.
	maxUnanswered = 1024
	// maxUnansweredBytes bounds their bodies and answers. One command may exceed it alone.
	maxUnansweredBytes = 4 << 20
)

// answer is what one or several commands in a row are owed.
type answer struct {
	batch    *batch // of publishes, answered once it is committed or refused; nil = ready
	commands int    // that are owed it: of a batch's several, one after the other; 0 counts as 1
	frame    []byte // of a ready answer
	bytes    int    // counted towards maxUnansweredBytes

	// What holds from this answer on, for the writing goroutine.

	terms   *nsqwire.Terms // IDENTIFY: the new terms
	upgrade *upgrade       // IDENTIFY: the new layers
	sub     subscription   // SUB: messages may follow
	last    bool           // the connection closes
}

// owed returns how many commands are owed the answer.
func (a *answer) owed() int { return max(1, a.commands) }

// room is how much a session may still add to its unanswered commands.
type room struct{ commands, bytes int }

// answers are the commands of a session that are owed an answer, oldest first. The reading goroutine adds them, the owner
// of the output takes them off, in order, once they are ready.
//
// Concurrency: mu guards the rest.
type answers struct {
	roomC chan struct{} // cap 1: there is room again

	mu struct {
		sync.Mutex
		ring     []answer // length is a power of two
		head, n  int
		commands int
		bytes    int
		waiting  bool // the reading goroutine waits for room
	}
}

func newAnswers() *answers { return &answers{roomC: make(chan struct{}, 1)} }

// push adds an answer. The caller has made sure that there is room.
func (q *answers) push(a answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.n == len(q.mu.ring) {
		q.growLocked()
	}
	q.mu.ring[(q.mu.head+q.mu.n)&(len(q.mu.ring)-1)] = a
	q.mu.n++
	q.mu.commands += a.owed()
	q.mu.bytes += a.bytes
}

// growLocked doubles the ring; maxUnanswered bounds it.
func (q *answers) growLocked() {
	ring := make([]answer, max(2, 2*len(q.mu.ring)))
	for i := range q.mu.n {
		ring[i] = q.mu.ring[(q.mu.head+i)&(len(q.mu.ring)-1)]
	}
	q.mu.ring, q.mu.head = ring, 0
}

// pop takes off the oldest answer if it is ready.
func (q *answers) pop() (a answer, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.readyLocked() {
		return answer{}, false
	}
	return q.popLocked(), true
}

// popCommitted takes off the oldest answer if it is of a committed batch.
func (q *answers) popCommitted() (a answer, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.readyLocked() {
		return answer{}, false
	}
	if b := q.mu.ring[q.mu.head].batch; b == nil || b.proposal.Err != nil {
		return answer{}, false
	}
	return q.popLocked(), true
}

// ready reports whether the oldest answer can be taken off.
func (q *answers) ready() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.readyLocked()
}

func (q *answers) readyLocked() bool {
	if q.mu.n == 0 {
		return false
	}
	b := q.mu.ring[q.mu.head].batch
	return b == nil || b.done.Load()
}

func (q *answers) popLocked() answer {
	slot := &q.mu.ring[q.mu.head]
	a := *slot
	*slot = answer{}
	q.mu.head = (q.mu.head + 1) & (len(q.mu.ring) - 1)
	q.mu.n--
	q.mu.commands -= a.owed()
	q.mu.bytes -= a.bytes
	if q.mu.waiting && q.mu.commands <= maxUnanswered/2 && q.mu.bytes <= maxUnansweredBytes/2 {
		q.mu.waiting = false
		select {
		case q.roomC <- struct{}{}:
		default:
		}
	}
	return a
}

// await returns how much may be added, waiting until at least a command of that many bytes may, or until gone is closed. All
// that waits for an answer must have been pushed before.
func (q *answers) await(bytes int, gone <-chan struct{}) room {
	for {
		if r, ok := q.tryAwait(bytes); ok {
			return r
		}
		select {
		case <-q.roomC:
		case <-gone:
			return room{commands: maxUnanswered, bytes: max(bytes, maxUnansweredBytes)}
		}
	}
}

func (q *answers) tryAwait(bytes int) (room, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.roomLocked()
	if q.mu.n == 0 {
		r.bytes = max(r.bytes, bytes)
	}
	q.mu.waiting = r.commands <= 0 || r.bytes < bytes
	return r, !q.mu.waiting
}

// room returns how much may be added now.
func (q *answers) room() room {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.roomLocked()
}

func (q *answers) roomLocked() room {
	return room{commands: maxUnanswered - q.mu.commands, bytes: maxUnansweredBytes - q.mu.bytes}
}
