package brokerlife

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/testkit/history"
)

// Dir is the broker's data directory on every disk.
const Dir = "/data"

// Topic is the topic whose messages are recorded.
const Topic = "t"

// Story is what is known of a broker whatever becomes of it.
type Story struct {
	Rec *history.Recorder
	// Placed says where each acknowledged message lies.
	Placed map[record.Offset]history.Key
	// Twice counts places that were given to two messages.
	Twice int
	// Answered, Refused and Unknown count messages by the answer to their batch; Waiting those without any so far.
	Answered, Refused, Unknown, Waiting int
	// Deliveries counts messages that consumers got.
	Deliveries int
	// Trimmed counts segments that retention deleted, Carried entries with which it kept messages of such.
	Trimmed, Carried atomic.Int64

	next uint32
}

// NewStory begins a story. Run tells its messages from those of others.
func NewStory(run uint32) *Story {
	return &Story{Rec: history.NewRecorder(run), Placed: make(map[record.Offset]history.Key)}
}

// batch makes the next batch of n messages of size bytes each.
func (s *Story) batch(n, size int, deferred time.Duration) *broker.Proposal {
	var b record.Builder
	p := &publication{story: s}
	due := int64(0)
	if deferred > 0 {
		due = time.Now().Add(deferred + time.Millisecond - 1).UnixMilli()
	}
	for range n {
		s.next++
		k := history.Key{Publisher: 1, Seq: s.next}
		s.Rec.Sent(k, deferred)
		b.Append(s.Rec.Body(k, size), due)
		p.keys = append(p.keys, k)
	}
	s.Waiting += n
	flags := b.Flags()
	return &broker.Proposal{Flags: flags, Payload: b.Finish(time.Now().UnixMilli()), Owner: p}
}

// publication records the answer to a batch.
type publication struct {
	story *Story
	keys  []history.Key
}

// Proposed implements broker.Owner.
func (p *publication) Proposed(proposal *broker.Proposal) {
	s := p.story
	s.Waiting -= len(p.keys)
	for i, k := range p.keys {
		switch {
		case proposal.Err == nil:
			s.Answered++
			s.Rec.Answered(k)
			at := proposal.Base + record.Offset(i)
			if _, taken := s.Placed[at]; taken {
				s.Twice++
			}
			s.Placed[at] = k
		case errors.Is(proposal.Err, broker.ErrUnknown):
			s.Unknown++
			s.Rec.Unknown(k)
		default:
			s.Refused++
			s.Rec.Refused(k)
		}
	}
}
