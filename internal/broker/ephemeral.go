package broker

import (
	"github.com/weirmq/weir/internal/queue"
	"github.com/weirmq/weir/internal/record"
)

// createEphemeral makes an ephemeral channel at the present end, or returns the one there is.
func (p *partition) createEphemeral(name string) (*Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed != nil {
		return nil, p.mu.closed
	}
	if ch := p.mu.byName[name]; ch != nil {
		return ch, nil
	}
	start := p.mu.dispatch.ephemeralEnd()
	if p.topic.ephemeral && len(p.mu.channels) == 0 {
		start = p.mu.dispatch.end() // the first channel of an ephemeral topic gets its backlog
	}
	p.mu.ephemeralID--
	ch := newChannel(p, p.mu.ephemeralID, name, queue.New(start, p.broker.queueOptions()))
	p.addLocked(ch)
	ch.applyDues(duesFrom(p.mu.dispatch.backlog, start))
	return ch, nil
}

// createEphemeral makes an ephemeral channel in each partition of which this node has a replica. It is this node's own.
func (t *Topic) createEphemeral(name string) (ch *Channel, err error) {
	if len(t.parts) == 0 {
		return nil, nil // nothing is ever delivered from here
	}
	for _, p := range t.parts {
		if ch, err = p.createEphemeral(name); err != nil {
			return nil, err
		}
	}
	return ch, nil
}

// removeIdle deletes an ephemeral channel if nobody is subscribed.
func (p *partition) removeIdle(ch *Channel) {
	p.mu.Lock()
	last := p.mu.channels[ch.id] == ch && ch.closeIfIdle() && p.removeEphemeralLocked(ch)
	p.mu.Unlock()
	if last {
		p.broker.removeEphemeralTopic(p.topic)
	}
}

// deleteEphemeral deletes an ephemeral channel and disconnects its consumers.
func (p *partition) deleteEphemeral(ch *Channel) {
	p.mu.Lock()
	last := p.mu.channels[ch.id] == ch && p.removeEphemeralLocked(ch)
	p.mu.Unlock()
	ch.close(ErrChannelNotFound)
	if last {
		p.broker.removeEphemeralTopic(p.topic)
	}
}

// removeEphemeralLocked takes an ephemeral channel out. It reports whether the topic goes with it: an ephemeral one without
// channels does, and from here on gets no new ones.
func (p *partition) removeEphemeralLocked(ch *Channel) bool {
	p.removeLocked(ch)
	if !p.topic.ephemeral || len(p.mu.channels) > 0 {
		return false
	}
	p.mu.closed = ErrTopicNotFound
	return true
}

// dropOverflowLocked bounds what lives in memory only: ephemeral channels drop their oldest unread messages beyond the bound,
// and nothing on an ephemeral topic reaches below what its memory log still holds.
func (p *partition) dropOverflowLocked() {
	d := &p.mu.dispatch
	var start record.Offset
	if p.topic.ephemeral {
		start, _ = p.log.Bounds()
		if d.frozen() {
			d.position = max(d.position, start)
			d.backlog = duesFrom(d.backlog, d.position)
		}
	}
	bound := d.ephemeralEnd() - record.Offset(p.broker.options.EphemeralMessages)
	for _, ch := range *p.list.Load() {
		if ch.ephemeral {
			ch.dropBelow(max(start, bound))
		} else if start > 0 {
			ch.dropBelow(start)
		}
	}
}
