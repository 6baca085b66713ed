package replica

import (
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/record"
)

// appendQueue is what Raft wants stored, in its order. Messages that depend on a write go out when it is done, and not before all
// that was wanted earlier is done.
//
// Concurrency: mu guards the queue. A pass adds to it, the votes file tells what is stored, the commit rounds take entries.
type appendQueue struct {
	sync.Mutex
	jobs []*appendJob
	// taken counts entries of the jobs at the front that the round under way has.
	taken int
	// stuck means that the disk is full. Raft cannot take entries back: they are tried again at the next tick.
	stuck bool
	// ended means that the log has failed: nothing more is stored.
	ended bool
}

// appendJob is one MsgStorageAppend.
type appendJob struct {
	voting    bool // the vote is on its way to the disk
	entries   []record.Entry
	written   int // of the entries
	snapshot  *raftpb.Snapshot
	responses []*raftpb.Message
}

// toStore queues one MsgStorageAppend.
func (g *Group) toStore(m *raftpb.Message) {
	job := &appendJob{responses: m.GetResponses(), entries: make([]record.Entry, 0, len(m.GetEntries()))}
	for _, e := range m.GetEntries() {
		out, err := fromRaft(e)
		if err != nil {
			g.fail(err)
			return
		}
		job.entries = append(job.entries, out)
		g.assign(e, &out)
	}
	g.storage.given(m.GetEntries())
	if !raft.IsEmptySnap(m.GetSnapshot()) {
		job.snapshot = m.GetSnapshot()
		if g.fetching != nil {
			g.fetching.taken = true
		}
	}
	v := vote{g.config.Self, m.GetTerm(), m.GetVote()}
	job.voting = m.Term != nil && v != g.saved
	g.appends.Lock()
	g.appends.jobs = append(g.appends.jobs, job)
	g.appends.Unlock()
	if !job.voting {
		g.proceed()
		return
	}
	g.saved = v
	g.groups.votes.save(g.id, v, func(err error) {
		if err != nil {
			g.call(func() { g.fail(fmt.Errorf("store vote: %w", err)) })
			return
		}
		g.appends.Lock()
		job.voting = false
		g.appends.Unlock()
		g.proceed()
	})
}

// assign tells the next owner the index of its entry.
func (g *Group) assign(e *raftpb.Entry, out *record.Entry) {
	if out.Kind == record.KindRaft || !g.ordering() || g.assigned == len(g.owners) {
		return
	}
	o := &g.owners[g.assigned]
	o.index, o.term = e.GetIndex(), e.GetTerm()
	g.assigned++
}

// proceed carries out the jobs at the front that need no round: their messages go out, a snapshot is put in place. If entries come
// next, a round is asked for.
func (g *Group) proceed() {
	g.appends.Lock()
	q := &g.appends
	for q.taken == 0 && len(q.jobs) > 0 && !q.jobs[0].voting && len(q.jobs[0].entries) == 0 && q.jobs[0].snapshot == nil {
		g.deliver(q.jobs[0].responses)
		q.popLocked()
	}
	entries := len(q.jobs) > 0 && !q.jobs[0].voting && len(q.jobs[0].entries) > 0
	install := q.taken == 0 && len(q.jobs) > 0 && !q.jobs[0].voting && q.jobs[0].snapshot != nil
	q.Unlock()
	switch {
	case install:
		g.call(g.installSnapshot)
	case entries:
		g.log().Kick()
	}
}

func (q *appendQueue) popLocked() {
	q.jobs[0] = nil
	if q.jobs = q.jobs[1:]; len(q.jobs) == 0 {
		q.jobs = nil
	}
}

// deliver hands over what was to wait for a write: messages to other replicas go out, the replica's own come back to Raft.
func (g *Group) deliver(responses []*raftpb.Message) {
	own := false
	for _, m := range responses {
		if m.GetTo() != g.config.Self {
			g.transmit(m) // dropped: Raft repeats it
			continue
		}
		g.inbox.Lock()
		g.inbox.responses = append(g.inbox.responses, m)
		g.inbox.Unlock()
		own = true
	}
	if own {
		g.wake()
	}
}

// retry lets a full disk be tried again. It reports whether the disk was full.
func (q *appendQueue) retry(g *Group) bool {
	q.Lock()
	stuck := q.stuck
	q.stuck = false
	q.Unlock()
	if stuck {
		g.log().Kick()
	}
	return stuck
}

// Collect implements commitlog.Source.
func (g *Group) Collect(limitBytes int) []record.Entry {
	g.appends.Lock()
	defer g.appends.Unlock()
	q := &g.appends
	if q.ended || q.stuck || q.taken > 0 {
		return nil
	}
	var out []record.Entry
	size := 0
	for _, job := range q.jobs {
		if job.voting || job.snapshot != nil {
			break
		}
		for i := job.written; i < len(job.entries); i++ {
			e := &job.entries[i]
			if len(out) > 0 && (size >= limitBytes || e.Index != out[len(out)-1].Index+1) {
				q.taken = len(out)
				return out
			}
			if len(out) == 0 {
				if err := g.place(e); err != nil {
					g.call(func() { g.fail(err) })
					return nil
				}
			} else if before := &out[len(out)-1]; e.Kind == record.KindRaft {
				e.Base, e.Time = before.Next(), before.Time
			}
			out = append(out, *e)
			size += len(e.Payload)
		}
	}
	q.taken = len(out)
	return out
}

// place gives an entry of Raft's own, the first of a round, its base and time: those of the entry before.
func (g *Group) place(e *record.Entry) error {
	if e.Kind != record.KindRaft {
		return nil
	}
	b := g.log().Bounds()
	if e.Index == b.LastIndex+1 {
		e.Base, e.Time = b.Next, b.LastTime
		return nil
	}
	if origin := g.log().Origin(); e.Index == origin.Index+1 {
		e.Base, e.Time = origin.Next, origin.Time
		return nil
	}
	before, err := g.log().Entries(e.Index-1, e.Index, 0)
	if err != nil {
		return fmt.Errorf("read the entry before %d, which another leader replaces: %w", e.Index, err)
	}
	e.Base, e.Time = before[0].Next(), before[0].Time
	return nil
}

// Done implements commitlog.Source.
func (g *Group) Done(err error) {
	q := &g.appends
	q.Lock()
	taken := q.taken
	q.taken = 0
	switch {
	case errors.Is(err, commitlog.ErrFull):
		q.stuck = true
	case err == nil:
		for taken > 0 {
			job := q.jobs[0]
			n := min(taken, len(job.entries)-job.written)
			job.written += n
			taken -= n
			if job.written < len(job.entries) {
				break
			}
			g.deliver(job.responses)
			q.popLocked()
		}
	default:
		q.ended, q.jobs = true, nil
	}
	q.Unlock()
	switch {
	case err == nil:
		g.proceed()
	case !errors.Is(err, commitlog.ErrFull):
		g.call(func() { g.fail(err) })
	}
}
