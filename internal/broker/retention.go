package broker

import (
	"context"
	"errors"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// carryShare is the part of a segment that may be unfinished for its messages to be carried forward: an eighth.
const carryShare = 8

// carryEntryBytes bounds one carry entry.
const carryEntryBytes = 1 << 20

// retain deletes the oldest sealed segments that are no longer wanted for replay and in which no channel has anything left to
// do. Where little is left, those messages are carried forward, so that one message deferred for a month does not hold a month
// of segments. Finished messages are kept for so long.
func (p *partition) retain(ctx context.Context, now time.Time, kept time.Duration) error {
	segments := p.log.Segments()
	var bytes int64
	for _, s := range segments {
		bytes += s.Bytes
	}
	below := record.Offset(-1)
	var early []Segment // may go, but only for want of space
	for i, s := range segments {
		if !p.expired(s, now, bytes, kept) {
			break
		}
		if i == len(segments)-1 {
			p.sealIdle(s, now) // the next round deletes it
			break
		}
		if p.awaitsDispatch(s) {
			break // asked first: a channel made from here on begins above s
		}
		if left := p.unfinished(s); len(left) > 0 {
			if !p.leads.Load() {
				break // the leader carries them
			}
			if done, err := p.carry(ctx, s, left); err != nil {
				return err
			} else if !done {
				break
			}
		}
		if !p.expired(s, now, bytes, p.broker.options.Retain) {
			early = append(early, s)
		}
		below = s.Next
		bytes -= s.Bytes
	}
	if below < 0 {
		return nil
	}
	if p.leads.Load() {
		err := p.coverTwice(ctx)
		if err != nil {
			return err
		}
	} else {
		if below = p.covered(below, segments[0]); below < 0 {
			return nil
		}
	}
	if err := p.log.Trim(below); err != nil {
		return err
	}
	p.countYielded(early)
	p.dropTrimmed()
	return nil
}

// countYielded counts those of some segments that are gone: Trim takes no more than two checkpoints cover.
func (p *partition) countYielded(early []Segment) {
	start, _ := p.log.Bounds()
	for _, s := range early {
		if s.First < start {
			p.broker.yielded.Add(s.Bytes)
		}
	}
}

// dropTrimmed lets ephemeral channels, which pin nothing, skip what is gone.
func (p *partition) dropTrimmed() {
	start, _ := p.log.Bounds()
	for _, ch := range *p.list.Load() {
		if ch.ephemeral {
			ch.dropBelow(start)
		}
	}
}

// coverTwice writes two checkpoints, a small entry apart: a segment may go only when the older of the two stored ones covers it
// as well, so that a damaged checkpoint never costs more than its own repair.
func (p *partition) coverTwice(ctx context.Context) error {
	if err := p.checkpoint(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keeperWait)
	defer cancel()
	if _, err := p.propose(ctx, control{op: opProgress}); err != nil {
		return err
	}
	return p.checkpoint()
}

// checkpointed is a stored checkpoint: up to which entry it holds, and the high watermark then.
type checkpointed struct {
	at   record.Index
	next record.Offset
}

// covered lowers the end of what may be trimmed to what two checkpoints cover, for a replica that does not lead and so cannot
// move the log on by itself. It writes one if not even the oldest segment is covered: the leader's entries bring the next.
func (p *partition) covered(below record.Offset, oldest Segment) record.Offset {
	if p.saved[1].next <= oldest.Next {
		_ = p.checkpoint() // refused: the next round tries again
	}
	// A high watermark above a segment's end says that the checkpoint holds all of its entries.
	return min(below, p.saved[1].next-1)
}

// expired reports whether a segment is no longer wanted for replay.
func (p *partition) expired(s Segment, now time.Time, logBytes int64, kept time.Duration) bool {
	return kept < 0 || logBytes > p.broker.options.RetainBytes || now.UnixNano()-s.LastTime > int64(kept)
}

// sealIdle ends the last segment of an idle log once all of it is finished, so that it can be deleted.
func (p *partition) sealIdle(s Segment, now time.Time) {
	const idle = time.Second
	quiet := now.UnixNano()-s.LastTime > int64(idle)
	if s.Next > s.First && quiet && !p.awaitsDispatch(s) && len(p.unfinished(s)) == 0 {
		_ = p.log.Roll() // refused: the next round tries again
	}
}

// awaitsDispatch reports whether the segment holds messages that no channel could read yet.
func (p *partition) awaitsDispatch(s Segment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.dispatch.frozen() && p.mu.dispatch.position < s.Next
}

// unfinished lists the messages that go with a segment and that some durable channel has not finished: those of the segment
// and, if it holds carried ones, those below it. The list ends when it is longer than what could be carried.
func (p *partition) unfinished(s Segment) []record.Offset {
	from := s.First
	if s.Carries {
		from = 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[record.Offset]bool)
	var list []record.Offset
	for _, ch := range *p.list.Load() {
		if ch.ephemeral || len(list) > carryMax(s) {
			continue // pins nothing, or it does not matter any more
		}
		ch.mu.Lock()
		ch.mu.queue.EachUnfinished(from, s.Next, func(offset record.Offset) bool {
			if !seen[offset] {
				seen[offset] = true
				list = append(list, offset)
			}
			return len(list) <= carryMax(s)
		})
		ch.mu.Unlock()
	}
	return list
}

// carryMessagesMax bounds the messages that are carried out of one segment.
const carryMessagesMax = 1 << 20

// carryMax is how many messages may be carried out of a segment.
func carryMax(s Segment) int {
	if s.Carries {
		return carryMessagesMax // and a share of its bytes
	}
	return int(min((s.Next-s.First)/carryShare, carryMessagesMax))
}

// carry repeats the messages of a segment in carry entries, if they are less than an eighth of it. It reports whether the
// segment may go now.
func (p *partition) carry(ctx context.Context, s Segment, left []record.Offset) (bool, error) {
	tried := carryAttempt{s.First, len(left)}
	if len(left) > carryMax(s) || p.carryTooLarge == tried {
		return false, nil
	}
	wanted := make(map[record.Offset]bool, len(left))
	for _, offset := range left {
		wanted[offset] = true
	}
	c := carrier{log: p.log, reader: p.log.NewReader(), wanted: wanted, limit: s.Bytes / carryShare}
	defer c.reader.Release()
	for _, offset := range left {
		if err := c.add(ctx, offset); err != nil {
			return false, err
		}
	}
	if c.tooLarge {
		p.carryTooLarge = tried
	}
	return !c.tooLarge, c.flush(ctx)
}

// carryAttempt is an attempt to carry so many messages out of a segment.
type carryAttempt struct {
	first record.Offset
	left  int
}

// carrier collects unfinished messages into carry entries.
type carrier struct {
	log      Log
	reader   Reader
	wanted   map[record.Offset]bool // not yet collected
	builder  record.Builder
	payload  []byte
	size     int64
	limit    int64 // bytes that may be carried in all
	tooLarge bool
	lost     LostError // met last: there is nothing to carry, and the log goes on to tell that it is lost
}

// add collects the message at offset, together with all wanted ones of its batch.
func (c *carrier) add(ctx context.Context, offset record.Offset) error {
	if !c.wanted[offset] || c.tooLarge || c.lost.contains(offset) {
		return nil
	}
	batch, time, err := c.reader.Batch(offset)
	var lost *LostError
	if errors.As(err, &lost) {
		c.lost = *lost
		return nil
	}
	if err != nil {
		return err
	}
	err = record.Subset(&c.builder, batch, func(o record.Offset) bool {
		ok := c.wanted[o]
		delete(c.wanted, o)
		return ok
	})
	if err != nil {
		c.builder.Reset(nil)
		return err
	}
	part := c.builder.Finish(batch.BaseTimestamp())
	if len(part) == 0 {
		return ErrOffsetOutOfRange
	}
	c.size += int64(len(part))
	if c.size > c.limit {
		c.tooLarge = true
		return nil
	}
	c.payload = record.AppendCarried(c.payload, time, part)
	if len(c.payload) >= carryEntryBytes {
		return c.flush(ctx)
	}
	return nil
}

// flush proposes what was collected and waits until it is committed.
func (c *carrier) flush(ctx context.Context) error {
	if len(c.payload) == 0 || c.tooLarge {
		return nil
	}
	done := make(waiter, 1)
	c.log.Propose(&Proposal{Kind: record.KindCarry, Payload: c.payload, Owner: done})
	c.payload = nil
	ctx, cancel := context.WithTimeout(ctx, keeperWait)
	defer cancel()
	_, err := done.wait(ctx)
	return err
}

// keeperWait bounds how long the keeper waits for an entry of its own; a refused or lost one is tried again.
const keeperWait = 30 * time.Second
