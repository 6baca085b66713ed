package hostile

import (
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// frameBytes is what an entry takes on a disk besides its payload, so that sizes look like those of real segments.
const frameBytes = 56

// A disk is one node's copy of a log. It outlives the open log. The group's mutex guards it.
type disk struct {
	group       *group
	segments    []*segment   // never empty; the last is active
	checkpoints []checkpoint // newest last, at most two
	trimmed     record.Index // last entry of the deleted segments
}

// segment is one file.
type segment struct {
	first, next record.Offset
	entries     []*record.Entry
	bytes       int64
}

// checkpoint is a stored state.
type checkpoint struct {
	state []byte
	at    record.Index
}

func newDisk(g *group) *disk {
	return &disk{group: g, segments: []*segment{{}}}
}

// lastLocked returns the index of the last entry on the disk.
func (d *disk) lastLocked() record.Index {
	for _, s := range slices.Backward(d.segments) {
		if n := len(s.entries); n > 0 {
			return s.entries[n-1].Index
		}
	}
	return d.trimmed
}

// appendLocked adds a committed entry, if the disk does not have it already, and seals the active segment when it is full.
func (d *disk) appendLocked(e *record.Entry, segmentBytes int) {
	if e.Index <= d.lastLocked() {
		return
	}
	s := d.segments[len(d.segments)-1]
	s.entries = append(s.entries, e)
	s.next = e.Next()
	s.bytes += int64(frameBytes + len(e.Payload))
	if s.bytes >= int64(segmentBytes) {
		d.rollLocked()
	}
}

// rollLocked seals the active segment unless it is empty.
func (d *disk) rollLocked() {
	s := d.segments[len(d.segments)-1]
	if len(s.entries) > 0 {
		d.segments = append(d.segments, &segment{first: s.next, next: s.next})
	}
}

// trimLocked deletes sealed segments below the offset that a checkpoint covers.
func (d *disk) trimLocked(below record.Offset) {
	var covered record.Index
	for _, c := range d.checkpoints {
		covered = max(covered, c.at)
	}
	for len(d.segments) > 1 {
		s := d.segments[0]
		last := s.entries[len(s.entries)-1].Index
		if s.next > below || last > covered {
			return
		}
		d.trimmed = last
		d.segments = d.segments[1:]
	}
}

// saveLocked stores a checkpoint and drops all older ones but one.
func (d *disk) saveLocked(c checkpoint) {
	d.checkpoints = slices.DeleteFunc(d.checkpoints, func(o checkpoint) bool { return o.at == c.at })
	d.checkpoints = append(d.checkpoints, c)
	slices.SortFunc(d.checkpoints, func(a, b checkpoint) int { return int(a.at) - int(b.at) })
	if n := len(d.checkpoints); n > 2 {
		d.checkpoints = d.checkpoints[n-2:]
	}
}

// crashLocked loses any checkpoint that is not needed to make up for trimmed entries: it was damaged, say.
func (d *disk) crashLocked() {
	if d.trimmed == 0 {
		d.checkpoints = slices.DeleteFunc(d.checkpoints, func(checkpoint) bool { return d.group.chanceLocked(0.5) })
		return
	}
	for i, c := range d.checkpoints {
		if c.at >= d.trimmed && d.group.chanceLocked(0.5) {
			d.checkpoints = d.checkpoints[:i+1] // the newer ones are gone
			return
		}
	}
}

// copyLocked makes the disk equal to another one of the group, up to its newest checkpoint.
func (d *disk) copyLocked(from *disk) {
	d.segments, d.checkpoints, d.trimmed = nil, nil, from.trimmed
	for _, s := range from.segments {
		c := *s
		c.entries = slices.Clone(s.entries)
		d.segments = append(d.segments, &c)
	}
	if n := len(from.checkpoints); n > 0 {
		d.checkpoints = []checkpoint{from.checkpoints[n-1]}
	}
}

// Bounds returns the first readable offset and the end of what the log has committed; the machine may still be about to
// hear of the last entries.
func (l *Log) Bounds() (start, end record.Offset) {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	return l.disk.segments[0].first, l.mu.next
}

// Checkpoint returns a copy of the newest checkpoint.
func (l *Log) Checkpoint() ([]byte, record.Index, error) {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	if l.mu.closed {
		return nil, 0, l.wrap(broker.ErrClosed)
	}
	n := len(l.disk.checkpoints)
	if n == 0 {
		return nil, 0, nil
	}
	c := l.disk.checkpoints[n-1]
	return slices.Clone(c.state), c.at, nil
}

// SaveCheckpoint stores a copy of state. One that claims entries not yet applied is an error.
func (l *Log) SaveCheckpoint(state []byte, at record.Index) error {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	switch {
	case l.mu.closed:
		return l.wrap(broker.ErrClosed)
	case l.mu.failed != nil:
		return l.wrap(broker.ErrFailed)
	case l.mu.full:
		return l.wrap(broker.ErrFull)
	case at > l.mu.applied:
		return fmt.Errorf("save checkpoint of %v: at %d, above the last applied entry %d", l, at, l.mu.applied)
	}
	l.disk.saveLocked(checkpoint{slices.Clone(state), at})
	return nil
}

// Segments lists the files.
func (l *Log) Segments() []broker.Segment {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	list := make([]broker.Segment, 0, len(l.disk.segments))
	for i, s := range l.disk.segments {
		info := broker.Segment{First: s.first, Next: s.next, Bytes: s.bytes, Sealed: i < len(l.disk.segments)-1}
		if n := len(s.entries); n > 0 {
			info.LastTime = s.entries[n-1].Time
		}
		for i := range s.entries {
			info.Carries = info.Carries || s.entries[i].Kind == record.KindCarry
		}
		list = append(list, info)
	}
	return list
}

// Roll seals the active segment.
func (l *Log) Roll() error {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	if l.mu.closed {
		return l.wrap(broker.ErrClosed)
	}
	l.disk.rollLocked()
	return nil
}

// Trim deletes finished segments, at once.
func (l *Log) Trim(below record.Offset) error {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	if l.mu.closed {
		return l.wrap(broker.ErrClosed)
	}
	if below < 0 || below > l.mu.next {
		return fmt.Errorf("trim %v below %d: the log ends at %d", l, below, l.mu.next)
	}
	l.disk.trimLocked(below)
	return nil
}
