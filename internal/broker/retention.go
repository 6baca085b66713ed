package broker

import (
	"time"

	"github.com/weirmq/weir/internal/record"
)

// retain deletes the oldest sealed segments whose messages are finished in every channel, once they are older than Retain or
// the log is larger than RetainBytes. A sealed segment with few unfinished messages is made finished by carrying them forward.
func (p *partition) retain(now time.Time) error {
	segments := p.log.Segments()
	var bytes int64
	for _, s := range segments {
		bytes += s.Bytes
	}
	below := record.Offset(-1)
	for i, s := range segments {
		if !s.Sealed && !p.sealFinished(s, now) {
			break
		}
		if !p.expired(s, now, bytes) || !p.finished(s) {
			break
		}
		if i == len(segments)-1 {
			break // just sealed: the next round deletes it
		}
		below = s.Next
		bytes -= s.Bytes
	}
	if below < 0 {
		return nil
	}
	if err := p.checkpoint(); err != nil {
		return err
	}
	return p.log.Trim(below)
}

// expired reports whether a segment is no longer wanted for replay.
func (p *partition) expired(s Segment, now time.Time, logBytes int64) bool {
	o := &p.broker.options
	return o.Retain < 0 || logBytes > o.RetainBytes || now.UnixNano()-s.LastTime > int64(o.Retain)
}

// finished reports whether no channel has anything left to do in the segment.
func (p *partition) finished(s Segment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &p.mu.dispatch
	if d.frozen() && d.position < s.Next {
		return false
	}
	for _, ch := range p.mu.channels {
		if ch.ephemeral {
			continue // pins nothing
		}
		ch.mu.Lock()
		left := ch.mu.queue.CountUnfinished(s.First, s.Next)
		ch.mu.Unlock()
		if left > 0 {
			return false
		}
	}
	return true
}

// sealFinished seals the active segment of an idle log so that it can be deleted.
func (p *partition) sealFinished(s Segment, now time.Time) bool {
	const idle = time.Second
	if s.Next == s.First || now.UnixNano()-s.LastTime < int64(idle) || !p.finished(s) || !p.expired(s, now, s.Bytes) {
		return false
	}
	return p.log.Roll() == nil
}
