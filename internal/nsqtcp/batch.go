package nsqtcp

import (
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqwire"
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
