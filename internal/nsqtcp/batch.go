package nsqtcp

import (
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
	"github.com/weirmq/weir/internal/record"
)

// maxBatchSize closes a batch of PUBs and DPUBs, in encoded bytes: a redelivery reads a whole batch, so it should not be
// large. An MPUB is one batch whatever its size.
const maxBatchSize = 64 << 10

// batch is a proposal of one or several publishes of a session. The reading goroutine fills it and submits it; from then on
// the broker has it until done is set, and the owner of the output after that.
type batch struct {
	proposal broker.Proposal
	session  *session
	verb     nsqwire.Verb // of its first command, for the error
	name     string       // of the topic
	commands int          // each is owed an OK
	done     atomic.Bool
}

// Proposed implements broker.Owner.
func (b *batch) Proposed(*broker.Proposal) {
	b.done.Store(true)
	b.session.answerDirectly()
}

// pending is the batch that a session is filling.
type pending struct {
	batch    *batch // nil if none
	builder  record.Builder
	topic    topic  // where it goes
	lastName string // topic of the last publish, so that its name is not allocated again
}

// fits reports whether one more message joins the batch.
func (p *pending) fits(topic, body []byte) bool {
	return p.batch != nil && p.batch.name == string(topic) && p.builder.Len()+len(body) <= maxBatchSize
}

// add puts one message into the batch; due is in Unix ms, 0 for at once.
func (p *pending) add(body []byte, due int64) {
	p.builder.Append(body, due)
	p.batch.proposal.Messages++
	p.batch.proposal.BodyBytes += len(body)
}

// take completes the batch and begins anew; nil if there is none.
func (p *pending) take() *batch {
	b := p.batch
	if b == nil {
		return nil
	}
	p.batch = nil
	b.proposal.Kind, b.proposal.Flags = record.KindBatch, p.builder.Flags()
	b.proposal.Payload = p.builder.Finish(time.Now().UnixMilli())
	b.proposal.Owner = b
	return b
}
