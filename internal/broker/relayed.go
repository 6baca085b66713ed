package broker

import (
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// Relayed takes a batch that another node passes on because this one leads the partition. It does not block; the outcome goes to
// p.Owner. A batch with a record.Relay that is in the log already, from an earlier attempt, is answered as committed and not
// appended again (p.Base and p.Index are not set then); one whose first attempt is under way shares its outcome.
//
// Sequences of one relay begin at 1, rise by one for each batch for this log, and come in order; what was left out or refused may
// come later, as long as it is among the last maxGaps that were left out: of older ones the outcome is ErrUnknown. Errors:
// ErrNotLeader, record's for bytes that are no batch, those of the log.
func (b *Broker) Relayed(id LogID, p *Proposal) {
	part := b.partition(id)
	batch, err := record.ParseBatch(p.Payload)
	if err == nil {
		err = batch.Verify()
	}
	if err == nil && part == nil {
		err = ErrNotLeader
	}
	if err == nil {
		err = part.refusal(p)
	}
	if err != nil {
		answerProposal(p, fmt.Errorf("take a relayed batch: %w", err))
		return
	}
	p.Kind = record.KindBatch
	relay, ok := batch.Relay()
	if !ok {
		answerProposal(p, fmt.Errorf("take a relayed batch: it names no relay: %w", record.ErrMalformed))
		return
	}
	part.takeRelayed(relay, p)
}

// underway are the relayed batches that were proposed and are not answered yet, on the leader. The partition's mutex guards it.
type underway map[record.Relay]*relayedBatch

// relayedBatch owns a relayed proposal, and the repeated ones that came while it was under way.
type relayedBatch struct {
	partition *partition
	relay     record.Relay
	owner     Owner
	repeated  []*Proposal
}

func (p *partition) takeRelayed(relay record.Relay, proposal *Proposal) {
	p.mu.Lock()
	if !p.mu.leading {
		p.mu.Unlock()
		answerProposal(proposal, ErrNotLeader)
		return
	}
	if first := p.mu.underway[relay]; first != nil {
		first.repeated = append(first.repeated, proposal)
		p.mu.Unlock()
		return
	}
	verdict := p.mu.relays.verdict(relay)
	if verdict == relayNew {
		batch := &relayedBatch{partition: p, relay: relay, owner: proposal.Owner}
		proposal.Owner = batch
		p.mu.underway[relay] = batch
	}
	p.mu.Unlock()
	switch verdict {
	case relayNew:
		p.log.Propose(proposal)
	case relayApplied:
		answerProposal(proposal, nil)
	default:
		answerProposal(proposal, fmt.Errorf("relay %d life %d sequence %d is too old to tell: %w", relay.Node, relay.Life, relay.Sequence, ErrUnknown))
	}
}

// Proposed implements Owner.
func (b *relayedBatch) Proposed(p *Proposal) {
	part := b.partition
	part.mu.Lock()
	delete(part.mu.underway, b.relay)
	repeated := b.repeated
	part.mu.Unlock()
	if p.Err == nil {
		part.topic.count(p)
	}
	p.Owner = b.owner
	answerProposal(p, p.Err)
	for _, r := range repeated {
		r.Base, r.Index = p.Base, p.Index
		answerProposal(r, p.Err)
	}
}

// answerProposal tells the owner of p the outcome.
func answerProposal(p *Proposal, err error) {
	p.Err = err
	if p.Owner != nil {
		p.Owner.Proposed(p)
	}
}
