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

// maxOpenBatches is how many topics' batches a session fills at once; looking for one among them takes less than submitting it.
const maxOpenBatches = 16

// batch is a proposal of one or several publishes of a session. The reading goroutine fills it and submits it; from then on
// the broker has it until done is set, and the owner of the output after that.
type batch struct {
	proposal broker.Proposal
	session  *session
	verb     nsqwire.Verb // of its first command, for the error
	name     string       // of the topic
	done     atomic.Bool
}

// Proposed implements broker.Owner.
func (b *batch) Proposed(*broker.Proposal) {
	b.done.Store(true)
	b.session.answerDirectly()
}

// pending is what a session publishes by the burst that it is reading: for each topic a batch, so that one that takes turns over
// topics makes as few batches as one that does not. The messages of a topic keep their order.
type pending struct {
	open     []*openBatch // in the order of their first messages
	spare    []*openBatch // their builders' buffers are used again
	lastName string       // topic of the last batch, so that its name is not allocated again
	owed     answer       // the newest commands in a row that go into one batch
}

// openBatch is a batch that is being filled.
type openBatch struct {
	*batch
	builder record.Builder
	topic   topic // where it goes
}

// find returns the open batch of a topic; nil if there is none.
func (p *pending) find(topic []byte) *openBatch {
	for i := len(p.open) - 1; i >= 0; i-- { // mostly the last
		if p.open[i].name == string(topic) {
			return p.open[i]
		}
	}
	return nil
}

// begin opens a batch.
func (p *pending) begin(b *batch, t topic) *openBatch {
	o := new(openBatch)
	if n := len(p.spare); n > 0 {
		o, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	o.batch, o.topic = b, t
	p.open = append(p.open, o)
	return o
}

// fits reports whether one more message joins the batch.
func (o *openBatch) fits(body []byte) bool { return o.builder.Len()+len(body) <= maxBatchSize }

// add puts one message into the batch; due is in Unix ms, 0 for at once.
func (o *openBatch) add(body []byte, due int64) {
	o.builder.Append(body, due)
	o.proposal.Messages++
	o.proposal.BodyBytes += len(body)
}

// finish completes the batch.
func (o *openBatch) finish() {
	p := &o.proposal
	p.Kind, p.Flags = record.KindBatch, o.builder.Flags()
	p.Payload = o.builder.Finish(time.Now().UnixMilli())
	p.Owner = o.batch
}
